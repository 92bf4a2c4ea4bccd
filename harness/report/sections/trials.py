"""The trials: a table for each arm and condition with their values, records and telemetry, and their
configuration: in full once, and as differences from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from harness.report.inputs import ReportInput
from harness.report.labels import NumberCell, condition_key, metric_of, trial_title
from harness.report.sections.configurations import Written, config_text, configuration, shortest
from harness.report.sections.failures import failure_anchors
from harness.report.sections.samples import condition_anchors, export_command
from harness.report.sections.surroundings import Facts, flat
from harness.store.rows import TrialRow
from harness.visible import shortened
from harness.wording import count, format_bytes, format_seconds, full_text, words

MOST_TRIALS = 300
MOST_CONFIGURATIONS = 40
"""The largest number of configurations in full."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """`note` stands beside the name."""

    name: str
    kind: Literal["number", "text", ""] = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class TrialDetails:
    """The cells of a trial, one per column of its group. `failure` is the anchor of its failure, or empty."""

    anchor: str
    number: int
    state: str
    failure: str
    cells: tuple[NumberCell, ...]


@dataclass(frozen=True, kw_only=True)
class TrialGroup:
    """The trials of one arm under one condition, or those with the same purpose, task and arm before the
    measurements.

    `configuration` has lines of `name: value`. It is `left_out` if the page has too many. If there is a
    `reference`, it has only what differs from there. `recorded` is what all of the trials recorded in the
    same way. `samples` is an anchor, or empty.
    """

    anchor: str
    title: str
    columns: tuple[Column, ...]
    trials: tuple[TrialDetails, ...]
    configuration: str
    left_out: bool
    reference: Written | None
    recorded: Facts
    samples: str


@dataclass(frozen=True, kw_only=True)
class TrialsView:
    """`shown` of `total` trials are listed."""

    groups: tuple[TrialGroup, ...]
    shown: int
    total: int
    export: str


def summary(view: TrialsView) -> str:
    """The number of trials."""
    return count(view.total, "trial")


def trial_anchors(report: ReportInput) -> dict[int, str]:
    """The attempts that the page describes, with their anchors: failed ones first, then the measurements
    in the order of rounds, then all others.
    """
    ordered = sorted(
        report.trials,
        key=lambda row: (
            row.status == "finished",
            row.purpose != "measure",
            row.round,
            row.seed,
            row.position,
        ),
    )
    return {row.id: report.anchor("trial", row.id) for row in ordered[:MOST_TRIALS]}


def trials_view(report: ReportInput) -> TrialsView | None:
    if not report.trials:
        return None
    anchors = trial_anchors(report)
    rows = sorted((row for row in report.trials if row.id in anchors), key=lambda row: row.id)
    values = _by_trial(pd.concat([report.every_value, report.samples.before], ignore_index=True), anchors)
    telemetry = _by_trial(report.telemetry, anchors)
    failures = failure_anchors(report)
    samples = dict(zip(map(condition_key, report.loaded.conditions), condition_anchors(report), strict=True))
    groups: list[TrialGroup] = []
    written: list[Written] = []
    for number, members in enumerate(_groups(report, rows), start=1):
        first = members[0]
        title, anchor = trial_title(report.loaded, first), report.anchor("configuration", number)
        settings = configuration(first)
        reference, lines = shortest(settings, written)
        if settings and reference is None:
            if len(written) < MOST_CONFIGURATIONS:
                written.append(Written(anchor=anchor, title=title, settings=settings))
            else:
                lines = []
        recorded = _common(members)
        columns, cells = _table(members, recorded, values, telemetry)
        group = TrialGroup(
            anchor=anchor,
            title=title,
            columns=columns,
            trials=tuple(
                TrialDetails(
                    anchor=anchors[row.id],
                    number=row.id,
                    state=row.state,
                    failure=failures.get(row.id, ""),
                    cells=texts,
                )
                for row, texts in zip(members, cells, strict=True)
            ),
            configuration="\n".join(lines),
            left_out=bool(settings) and reference is None and not lines,
            reference=reference,
            recorded=recorded,
            samples=samples.get(condition_key(first.condition), "") if first.purpose == "measure" else "",
        )
        groups.append(group)
    return TrialsView(
        groups=tuple(groups), shown=len(rows), total=len(report.trials), export=export_command(report)
    )


def _groups(report: ReportInput, rows: list[TrialRow]) -> list[list[TrialRow]]:
    """The trials that differ only in their seed and round: first measurements in the order of the study."""
    conditions = [condition_key(condition) for condition in report.loaded.conditions]
    arms = [arm.name for arm in report.loaded.arms]
    groups: dict[tuple[str, ...], list[TrialRow]] = {}
    for row in rows:
        key = (row.purpose, row.task, row.arm, condition_key(row.condition), config_text(row))
        groups.setdefault(key, []).append(row)

    def order(group: list[TrialRow]) -> tuple[bool, int, int, int]:
        first = group[0]
        key = condition_key(first.condition)
        if first.purpose != "measure" or key not in conditions or first.arm not in arms:
            return True, 0, 0, first.id
        return False, conditions.index(key), arms.index(first.arm), first.id

    return sorted(groups.values(), key=order)


def _common(group: list[TrialRow]) -> Facts:
    """What all of these trials recorded in the same way. A single trial shows everything itself."""
    if len(group) < 2:
        return ()
    others = [set(_recorded(row)) for row in group[1:]]
    return tuple(fact for fact in _recorded(group[0]) if all(fact in other for other in others))


def _recorded(row: TrialRow) -> Facts:
    """The work of a trial, the digests of its outputs, and its notes."""
    return (
        *((f"work: {words(name)}", text) for name, text in flat(row.spent)),
        *((f"digest of {words(name)}", text) for name, text in flat(row.outputs)),
        *((words(name), shortened(text)) for name, text in flat(row.notes)),
    )


def _by_trial(frame: pd.DataFrame, anchors: dict[int, str]) -> dict[Any, pd.DataFrame]:
    chosen = frame[frame["trial"].isin(list(anchors))]
    return dict(iter(chosen.groupby("trial", sort=False)))


def _table(
    rows: list[TrialRow],
    common: Facts,
    values: Mapping[Any, pd.DataFrame],
    telemetry: Mapping[Any, pd.DataFrame],
) -> tuple[tuple[Column, ...], list[tuple[NumberCell, ...]]]:
    """The columns, and the cells of each trial. Columns in which all cells are empty are left out."""
    columns = {
        Column(name="began as number", kind="number"): [str(row.position + 1) for row in rows],
        Column(name="round", kind="number"): [str(row.round or "") for row in rows],
        Column(name="seed", kind="number"): [str(row.seed) for row in rows],
        Column(name="attempt", kind="number"): [str(row.attempt) if row.attempt > 1 else "" for row in rows],
        Column(name="took", kind="number"): [
            "" if row.seconds is None else format_seconds(row.seconds) for row in rows
        ],
    }
    last = {
        Column(name="record", kind="text"): [
            "; ".join(f"{name}: {text}" for name, text in _recorded(row) if (name, text) not in common)
            for row in rows
        ],
        Column(name="telemetry", kind="text"): [
            _telemetry_text(telemetry[row.id]) if row.id in telemetry else "" for row in rows
        ],
        Column(name="began", note="UTC"): [_time(row.started_at) for row in rows],
        Column(name="id"): [row.spec_id for row in rows],
    }
    cells = {
        **{column: [NumberCell(text=text, value="") for text in texts] for column, texts in columns.items()},
        **_value_columns([values.get(row.id) for row in rows]),
        **{column: [NumberCell(text=text, value="") for text in texts] for column, texts in last.items()},
    }
    filled = {column: texts for column, texts in cells.items() if any(cell.text for cell in texts)}
    return tuple(filled), list(zip(*filled.values(), strict=True))


def _time(text: str) -> str:
    """`2026-11-30 04:05:06`."""
    return text[:19].replace("T", " ")


def _value_columns(frames: list[pd.DataFrame | None]) -> dict[Column, list[NumberCell]]:
    """The value of each metric in each trial, with the number of its samples: beside the name of the metric
    if it is the same for all trials, else in each cell.
    """
    by_metric: dict[str, dict[int, tuple[int, float]]] = {}
    for number, frame in enumerate(frames):
        if frame is None:
            continue
        columns = (frame[name].tolist() for name in ("metric", "samples", "value"))
        for metric, samples, value in zip(*columns, strict=True):
            by_metric.setdefault(metric, {})[number] = (samples, value)
    shown = {}
    for metric, by_trial in by_metric.items():
        record, counts = metric_of(metric), {samples for samples, _ in by_trial.values()}
        shared = count(counts.pop(), "sample") if len(counts) == 1 else ""
        cells = [NumberCell(text="", value="")] * len(frames)
        for number, (samples, value) in by_trial.items():
            text = record.format(value) if shared else f"{record.format(value)} ({count(samples, 'sample')})"
            cells[number] = NumberCell(text=text, value=full_text(value))
        shown[Column(name=record.label, kind="number", note=shared)] = cells
    return shown


def _telemetry_text(part: pd.DataFrame) -> str:
    """The observations of a trial in one line. Readings that a machine does not have are left out."""
    readings = (
        ("rss_bytes", "resident memory up to {}", "max", format_bytes),
        ("cpu_percent", "CPU {} (median)", "median", _percent),
        ("other_cpu_percent", "CPU of other programs {} (median)", "median", _percent),
        ("load", "load up to {}", "max", "{:.2g}".format),
        ("cpu_mhz", "clock {} MHz (median)", "median", "{:.0f}".format),
        ("gpu_memory_bytes", "GPU memory up to {}", "max", format_bytes),
        ("gpu_utilisation", "GPU use {} (median)", "median", "{:.0%}".format),
        ("gpu_power_w", "GPU power {} W (median)", "median", "{:.0f}".format),
    )
    texts = [
        text.format(write(value))
        for name, text, summary, write in readings
        if name in part and (value := _summary(part[name], summary)) is not None
    ]
    return "; ".join([count(len(part), "observation"), *texts])


def _summary(column: pd.Series[Any], summary: str) -> float | None:
    numbers = pd.to_numeric(column).dropna()
    return float(numbers.agg(summary)) if len(numbers) else None


def _percent(value: float) -> str:
    return f"{value:.0f} %"

"""The trials: for each one its configuration, values, events, telemetry, and how it failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.report.inputs import ReportInput
from harness.report.labels import NumberCell, condition_key, metric_of
from harness.report.sections.samples import condition_anchors, export_command
from harness.report.sections.surroundings import Facts, flat
from harness.store.rows import TrialRow
from harness.study.arm_settings import setting_text
from harness.visible import shortened
from harness.wording import count, format_bytes, format_seconds, full_text, words

MOST_TRIALS = 300
MOST_CONFIGURATIONS = 40
MOST_LOG_LINES = 40


@dataclass(frozen=True, kw_only=True)
class TrialValue:
    metric: str
    samples: int
    cell: NumberCell


@dataclass(frozen=True, kw_only=True)
class TrialDetails:
    """`configuration` and `samples` are anchors, or empty. `log` is the end of what a failed trial wrote."""

    anchor: str
    number: int
    title: str
    state: str
    facts: Facts
    values: tuple[TrialValue, ...]
    configuration: str
    samples: str
    log: str


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One that several trials share, as lines of `name: value`. `recorded` is what all of them recorded in
    the same way.
    """

    anchor: str
    title: str
    text: str
    recorded: Facts


@dataclass(frozen=True, kw_only=True)
class TrialsView:
    trials: tuple[TrialDetails, ...]
    total: int
    configurations: tuple[Configuration, ...]
    other_configurations: int
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
    configurations, other = _configurations(report, rows)
    values = _by_trial(pd.concat([report.every_value, report.samples.before], ignore_index=True), anchors)
    telemetry = _by_trial(report.telemetry, anchors)
    samples = dict(zip(map(condition_key, report.loaded.conditions), condition_anchors(report), strict=True))
    return TrialsView(
        trials=tuple(
            TrialDetails(
                anchor=anchors[row.id],
                number=row.id,
                title=_title(report, row),
                state=row.state,
                facts=tuple(_facts(row, shown.recorded if shown else (), telemetry.get(row.id))),
                values=tuple(_values(values.get(row.id))),
                configuration=shown.anchor if shown else "",
                samples=samples.get(condition_key(row.condition), "") if row.purpose == "measure" else "",
                log="\n".join((row.traceback or "").splitlines()[-MOST_LOG_LINES:]),
            )
            for row in rows
            for shown in (configurations.get(_config_text(row)),)
        ),
        total=len(report.trials),
        configurations=tuple(configurations.values()),
        other_configurations=other,
        export=export_command(report),
    )


def _title(report: ReportInput, row: TrialRow) -> str:
    """`trial 12: cache=dynamic new_tokens=16 seed 0 round 3`."""
    where = [f"{factor}={level}" for factor, level in row.condition.items()]
    kind = [] if row.purpose == "measure" else list(dict.fromkeys((row.purpose, row.task)))
    rounds = [f"round {row.round}"] if row.round else []
    parts = [*kind, report.loaded.label(row.arm), *where, f"seed {row.seed}", *rounds]
    return f"trial {row.id}: {' '.join(part for part in parts if part)}"


def _config_text(row: TrialRow) -> str:
    if not row.spec_json:
        return ""
    return json.dumps(json.loads(row.spec_json).get("config", {}))


def _configurations(report: ReportInput, rows: list[TrialRow]) -> tuple[dict[str, Configuration], int]:
    """The text of each configuration → how it is shown, and how many are left out."""
    groups: dict[str, list[TrialRow]] = {}
    for row in sorted(rows, key=lambda row: (row.purpose != "measure", row.id)):
        if text := _config_text(row):
            groups.setdefault(text, []).append(row)
    shown = {}
    for number, (text, group) in enumerate(list(groups.items())[:MOST_CONFIGURATIONS], start=1):
        where = [f"{factor}={level}" for factor, level in group[0].condition.items()]
        words_of_title = (group[0].purpose, report.loaded.label(group[0].arm), *where)
        shown[text] = Configuration(
            anchor=report.anchor("configuration", number),
            title=" ".join(part for part in words_of_title if part),
            text="\n".join(_setting_lines(json.loads(text))),
            recorded=_common(group),
        )
    return shown, len(groups) - len(shown)


def _setting_lines(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested settings as `dotted.name: value`."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _setting_lines(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}: {setting_text(value)}"


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
        *((f"note: {words(name)}", shortened(text)) for name, text in flat(row.notes)),
    )


def _by_trial(frame: pd.DataFrame, anchors: dict[int, str]) -> dict[Any, pd.DataFrame]:
    chosen = frame[frame["trial"].isin(list(anchors))]
    return dict(iter(chosen.groupby("trial", sort=False)))


def _values(part: pd.DataFrame | None) -> Iterator[TrialValue]:
    if part is None:
        return
    columns = (part[name].tolist() for name in ("metric", "samples", "value"))
    for name, samples, value in zip(*columns, strict=True):
        record = metric_of(name)
        yield TrialValue(
            metric=record.label,
            samples=samples,
            cell=NumberCell(text=record.format(value), value=full_text(value)),
        )


def _facts(row: TrialRow, common: Facts, telemetry: pd.DataFrame | None) -> Iterator[tuple[str, str]]:
    yield "id", row.spec_id
    yield "began", f"{row.started_at} as number {row.position + 1} of its run, attempt {row.attempt}"
    if row.seconds is not None:
        yield "took", format_seconds(row.seconds)
    if row.status == "failed":
        yield "failed because", shortened(row.failure)
    yield from (fact for fact in _recorded(row) if fact not in common)
    if telemetry is not None:
        yield "telemetry", _telemetry_text(telemetry)


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

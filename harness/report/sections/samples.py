"""The raw samples: a folded table for each arm and condition, and all samples as CSV. If they are too many,
the tables have one row per trial instead, with the values that the analysis uses.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass

import pandas as pd

from harness.analysis.frames import without_formulas
from harness.report.inputs import MOST_NUMBERS, ReportInput
from harness.report.labels import ArmName, anchor, arm_name, condition_key, condition_title, metric_of
from harness.wording import count

MOST_CSV_BYTES = 5_000_000

Parts = list[tuple[ArmName, pd.DataFrame]]
"""(title, samples or values) of each table of a group."""


@dataclass(frozen=True, kw_only=True)
class SampleTable:
    """`keys` are the columns that say what a row is about, and the others have one value per metric. The
    cells of `rows` are texts at full precision.
    """

    anchor: str
    title: ArmName
    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The tables of one condition, or of the trials that ran before the measurements."""

    anchor: str
    title: str
    tables: tuple[SampleTable, ...]


@dataclass(frozen=True, kw_only=True)
class Csv:
    """`href` is a data URI with the first `rows` of `total` samples, compressed with gzip."""

    href: str
    name: str
    rows: int
    total: int


@dataclass(frozen=True, kw_only=True)
class SamplesView:
    """`shown` of `total` table rows are printed. The rows are trials if there are too many samples, which
    `samples` counts. Then there is no CSV.
    """

    groups: tuple[Group, ...]
    by_trial: bool
    shown: int
    total: int
    samples: int
    csv: Csv | None
    export: str


def condition_anchors(report: ReportInput) -> dict[str, str]:
    """Anchor → title of the samples of each condition."""
    return {
        report.anchor("samples", number): condition_title(report.loaded, condition.names)
        for number, condition in enumerate(report.loaded.conditions, start=1)
    }


def export_command(report: ReportInput) -> str:
    """The command that exports every sample of the run."""
    return f"harness export {report.loaded.name} --scale {report.run.scale}"


def summary(view: SamplesView) -> str:
    """The number of samples, and of the rows that show them."""
    return f"{count(view.samples, 'sample')} in {count(view.total, 'row')}"


def samples_view(report: ReportInput) -> SamplesView:
    raw = report.samples.raw
    if raw is not None and len(raw) > MOST_NUMBERS:
        raw = None
    cells = _trial_groups(report) if raw is None else _groups(report, raw)
    groups, shown, total, room = [], 0, 0, MOST_NUMBERS
    for name, title, parts in cells:
        tables = []
        for number, (table_title, part) in enumerate(parts):
            keys, metrics, rows = _wide(part) if raw is not None else _by_trial(report, part)
            printed = tuple(rows[: room // max(len(metrics), 1)])
            room = room - len(printed) * len(metrics) if len(printed) == len(rows) else 0
            labels = tuple(metric_of(metric).label for metric in metrics)
            tables.append(
                SampleTable(
                    anchor=anchor(name, number), title=table_title, keys=keys, metrics=labels, rows=printed
                )
            )
            shown, total = shown + len(printed), total + len(rows)
        groups.append(Group(anchor=name, title=title, tables=tuple(tables)))
    study = report.loaded.study.study.replace("/", "-")
    return SamplesView(
        groups=tuple(groups),
        by_trial=raw is None,
        shown=shown,
        total=total,
        samples=report.samples.total,
        csv=None if raw is None else csv_link(raw, name=f"{study}-{report.run.scale}.csv"),
        export=export_command(report),
    )


def csv_link(frame: pd.DataFrame, *, name: str) -> Csv:
    """As many complete rows as fit into MOST_CSV_BYTES, with numbers at full precision."""
    lines = without_formulas(frame).to_csv(index=False, lineterminator="\n").splitlines(keepends=True)
    taken, size = 0, 0
    for line in lines:
        size += len(line.encode())
        if size > MOST_CSV_BYTES:
            break
        taken += 1
    compressed = gzip.compress("".join(lines[:taken]).encode(), mtime=0)
    href = f"data:application/gzip;base64,{base64.b64encode(compressed).decode()}"
    return Csv(href=href, name=f"{name}.gz", rows=max(taken - 1, 0), total=len(frame))


def _trial_groups(report: ReportInput) -> list[tuple[str, str, Parts]]:
    """As `_groups`, with the values of trials instead of their samples."""
    tasks = {trial.id: trial.task for trial in report.trials}
    values = pd.concat([report.samples.measured, report.samples.before], ignore_index=True)
    return _groups(report, values.assign(task=values["trial"].map(tasks)))


def _groups(report: ReportInput, frame: pd.DataFrame) -> list[tuple[str, str, Parts]]:
    """Anchor, title, and the tables: the measurements, then the trials that ran before them."""
    measured = frame[frame["purpose"] == "measure"]
    cells = dict(iter(measured.groupby(["condition", "arm"], sort=False)))
    groups = []
    for condition, (name, title) in zip(
        report.loaded.conditions, condition_anchors(report).items(), strict=True
    ):
        keys = [(arm.name, (condition_key(condition), arm.name)) for arm in report.loaded.arms]
        groups.append(
            (name, title, [(arm_name(report.loaded, arm), cells[key]) for arm, key in keys if key in cells])
        )
    before = frame[frame["purpose"] != "measure"].groupby(["purpose", "task", "arm", "condition"], sort=True)
    parts = []
    for key, part in before:
        parts.append((_before(report, *map(str, key)), part))
    return [*groups, (report.anchor("samples-before"), "Before the measurements", parts)] if parts else groups


def _before(report: ReportInput, purpose: str, task: str, arm: str, condition: str) -> ArmName:
    """What ran before the measurements. Each word appears once: the purpose of a training is also
    its task.
    """
    names = report.loaded.names
    title = names.trial(dict.fromkeys((purpose, task)), arm, json.loads(condition))
    return ArmName(text=title, title="" if report.loaded.label(arm) == arm else arm)


def _wide(part: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...], list[tuple[str, ...]]]:
    """The names of the keys, the metrics, and the table as text: one row per step of a trial, one column per
    metric.

    If a step has several samples of a metric, each gets a row of its own.
    """
    keys = ["round", "seed", "step", "trial"]
    metrics = tuple(dict.fromkeys(part["metric"]))
    texts = part.assign(
        text=[repr(value) for value in part["value"].tolist()],
        repeat=part.groupby([*keys, "metric"], sort=False).cumcount(),
    )
    wide = texts.pivot(index=[*keys, "repeat"], columns="metric", values="text")
    cells = wide[list(metrics)].sort_index().fillna("")
    rows = [
        (str(round_), str(seed), str(step), *row)
        for (round_, seed, step, *_), row in zip(cells.index, cells.to_numpy().tolist(), strict=True)
    ]
    return ("round", "seed", "step"), metrics, rows


def _by_trial(
    report: ReportInput, part: pd.DataFrame
) -> tuple[tuple[str, ...], tuple[str, ...], list[tuple[str, ...]]]:
    """As `_wide`, with one row per trial: its id, the number of its samples, and the value of each metric."""
    ids = {trial.id: trial.spec_id for trial in report.trials}
    metrics = tuple(dict.fromkeys(part["metric"]))
    texts = part.assign(text=[repr(value) for value in part["value"].tolist()])
    wide = texts.pivot(index=["round", "seed", "trial"], columns="metric", values="text")
    cells = wide[list(metrics)].sort_index().fillna("")
    samples = part.groupby("trial")["samples"].sum()
    rows = [
        (str(round_), str(seed), ids[trial], str(samples[trial]), *row)
        for (round_, seed, trial), row in zip(cells.index, cells.to_numpy().tolist(), strict=True)
    ]
    return ("round", "seed", "trial", "samples"), metrics, rows

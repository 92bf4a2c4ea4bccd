"""The raw samples: a folded table for each arm and condition, and all samples as CSV."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pandas as pd

from harness.analysis.frames import without_formulas
from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, anchor, arm_name, condition_key, condition_title
from harness.wording import words

MOST_CSV_BYTES = 5_000_000
MOST_ROWS = 20_000
"""The largest number of rows in all tables together. The store has all of them."""


@dataclass(frozen=True, kw_only=True)
class SampleTable:
    """`rows` hold the round, the seed, the step, and one value per metric, as text at full precision."""

    anchor: str
    title: ArmName
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
    """`href` is a data URI with the first `rows` of `total` samples."""

    href: str
    name: str
    rows: int
    total: int


@dataclass(frozen=True, kw_only=True)
class SamplesView:
    """`shown` of `total` table rows are printed."""

    groups: tuple[Group, ...]
    shown: int
    total: int
    csv: Csv
    export: str


def condition_anchors(report: ReportInput) -> dict[str, str]:
    """Anchor → title of the samples of each condition."""
    return {
        report.anchor("samples", number): condition_title(condition.names)
        for number, condition in enumerate(report.loaded.conditions, start=1)
    }


def samples_view(report: ReportInput) -> SamplesView:
    groups, shown, total = [], 0, 0
    for name, title, parts in _groups(report):
        tables = []
        for number, (table_title, part) in enumerate(parts):
            metrics, rows = _wide(part)
            printed = tuple(rows[: MOST_ROWS - shown])
            labels = tuple(words(metric) for metric in metrics)
            tables.append(
                SampleTable(anchor=anchor(name, number), title=table_title, metrics=labels, rows=printed)
            )
            shown, total = shown + len(printed), total + len(rows)
        groups.append(Group(anchor=name, title=title, tables=tuple(tables)))
    study = report.loaded.study.study.replace("/", "-")
    return SamplesView(
        groups=tuple(groups),
        shown=shown,
        total=total,
        csv=csv_link(report.frame, name=f"{study}-{report.run.scale}.csv"),
        export=f"harness export {report.loaded.name} --scale {report.run.scale}",
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
    encoded = base64.b64encode("".join(lines[:taken]).encode()).decode()
    href = f"data:text/csv;charset=utf-8;base64,{encoded}"
    return Csv(href=href, name=name, rows=max(taken - 1, 0), total=len(frame))


def _groups(report: ReportInput) -> list[tuple[str, str, list[tuple[ArmName, pd.DataFrame]]]]:
    """Anchor, title, and (table title, samples): the measurements, then the trials that ran before them."""
    frame = report.frame
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

    def title(arm_text: str) -> str:
        parts = dict.fromkeys((purpose, task, arm_text, condition))
        return " ".join(part for part in parts if part not in ("", "{}"))

    short = title(report.loaded.label(arm))
    return ArmName(text=short, title="" if short == title(arm) else arm)


def _wide(part: pd.DataFrame) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The metrics, and the table as text: one row per step of a trial, one column per metric.

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
    return metrics, [
        (str(round_), str(seed), str(step), *row)
        for (round_, seed, step, *_), row in zip(cells.index, cells.to_numpy().tolist(), strict=True)
    ]

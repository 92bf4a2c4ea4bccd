"""Raw samples: a folded table for each arm and condition, and the whole frame as CSV."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, anchor, arm_name, condition_key, condition_title
from harness.report.sections.base import Section

MOST_CSV_BYTES = 5_000_000
MOST_ROWS = 20_000
"""Rows in all tables together; what is beyond is in the store."""


@dataclass(frozen=True, kw_only=True)
class SampleTable:
    """`rows` hold round, seed, step, then a value a metric, as text that reads back to the same number."""

    anchor: str
    title: ArmName
    metrics: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The tables of one condition, or of what ran before the measurements."""

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
    """Where the samples of each condition stand: anchor → title."""
    return {
        report.anchor("samples", place): condition_title(condition.names)
        for place, condition in enumerate(report.loaded.conditions, start=1)
    }


def samples_view(report: ReportInput) -> SamplesView:
    groups, shown, total = [], 0, 0
    for name, title, parts in _groups(report):
        tables = []
        for place, (what, part) in enumerate(parts):
            metrics, rows = _wide(part)
            texts = tuple(_texts(row) for row in rows[: MOST_ROWS - shown])
            labels = tuple(metric.replace("_", " ") for metric in metrics)
            tables.append(SampleTable(anchor=anchor(name, place), title=what, metrics=labels, rows=texts))
            shown, total = shown + len(texts), total + len(rows)
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
    """As many whole rows as fit into MOST_CSV_BYTES; numbers are written so that they read back the same."""
    lines = frame.to_csv(index=False, lineterminator="\n").splitlines(keepends=True)
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
    """Anchor, title and (table title, samples): measurements by condition and arm, then what ran before them."""
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
    return [*groups, (report.anchor("samples-before"), "before the measurements", parts)] if parts else groups


def _before(report: ReportInput, purpose: str, task: str, arm: str, condition: str) -> ArmName:
    """What ran, once where a training's purpose is also its task."""

    def told(name: str) -> str:
        words = dict.fromkeys((purpose, task, name, condition))
        return " ".join(word for word in words if word not in ("", "{}"))

    short = told(report.loaded.label(arm))
    return ArmName(text=short, title="" if short == told(arm) else arm)


def _wide(part: pd.DataFrame) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """A row for each step of each trial, a column for each metric; a repeated sample gets a row of its own."""
    metrics = tuple(dict.fromkeys(part["metric"]))
    column = {metric: place for place, metric in enumerate(metrics)}
    rows: dict[tuple[int, ...], list[float | None]] = {}
    columns = [part[name].tolist() for name in ("round", "seed", "step", "trial", "metric", "value")]
    for round_, seed, step, trial, metric, value in zip(*columns, strict=True):
        again, place = 0, column[metric]
        while (row := rows.setdefault((round_, seed, step, trial, again), [None] * len(metrics)))[
            place
        ] is not None:
            again += 1
        row[place] = value
    return metrics, [(*key[:3], *rows[key]) for key in sorted(rows)]


def _texts(row: Sequence[object]) -> tuple[str, ...]:
    return tuple("" if value is None else repr(value) for value in row)


SECTION = Section(id="samples", title="Raw samples", view=samples_view)

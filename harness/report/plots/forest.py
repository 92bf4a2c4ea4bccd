"""The effect of every arm under one condition, one row per arm. It is drawn if there are many arms or no
numeric condition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, condition_title, metric_of
from harness.report.plots.style import INK, MUTED, PALETTE, WIDE, Plot, panel, ratio_axis


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """`low` and `high` are NaN if the interval is unbounded, as it always is with fewer than six pairs."""

    label: str
    effect: float
    low: float
    high: float
    valid: bool


@dataclass(frozen=True, kw_only=True)
class Forest(Plot):
    """`where` names the condition for people."""

    condition: dict[str, str]
    where: str
    rows: tuple[ForestRow, ...]


def forests(report: ReportInput) -> list[Forest]:
    """One forest per condition for the primary metric, with arms in the order of the study. A condition
    without a finite effect has none.
    """
    labels, primary = arm_labels(report.loaded), report.loaded.study.primary
    by_ratios = metric_of(primary).compared_by == "ratios"
    plots = []
    for condition in report.loaded.conditions:
        here = [
            c for c in report.analysis.contrasts if c.metric == primary and c.condition == condition.names
        ]
        rows = []
        for contrast in here:
            least = 0.0 if by_ratios else -math.inf
            if not (math.isfinite(contrast.effect) and contrast.effect > least):
                continue
            bounded = least < contrast.low <= contrast.high < math.inf
            rows.append(
                ForestRow(
                    label=labels[contrast.arm],
                    effect=contrast.effect,
                    low=contrast.low if bounded else math.nan,
                    high=contrast.high if bounded else math.nan,
                    valid=contrast.verdict != "invalid",
                )
            )
        if rows:
            left_out = len(here) - len(rows)
            plots.append(
                Forest(
                    metric=primary,
                    condition=condition.names,
                    where=condition_title(report.loaded, condition.names),
                    rows=tuple(rows),
                    left_out=left_out,
                )
            )
    return plots


def draw_forest(forest: Forest) -> Figure:
    rows = forest.rows
    with panel(width=WIDE, height=0.9 + 0.21 * len(rows)) as (figure, axes):
        record = metric_of(forest.metric)
        axes.axvline(record.neutral, color=INK, linewidth=1.0)
        for height, row in enumerate(rows):
            if not math.isnan(row.low):
                axes.plot(
                    [row.low, row.high],
                    [height, height],
                    color=PALETTE[0] if row.valid else MUTED,
                    linewidth=1.6,
                )
        for valid, colour, marker in ((True, PALETTE[0], "o"), (False, MUTED, "X")):
            heights = [height for height, row in enumerate(rows) if row.valid == valid]
            effects = [rows[height].effect for height in heights]
            axes.scatter(
                effects,
                heights,
                color=colour,
                marker=marker,
                s=34,
                linewidth=0.08 * math.sqrt(34),
                edgecolor="w",
                zorder=3,
            )
        names = [row.label + ("" if row.valid else " (invalid)") for row in rows]
        axes.set_yticks(range(len(rows)), labels=names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        drawn = [
            number for row in rows for number in (row.effect, row.low, row.high) if not math.isnan(number)
        ]
        if record.compared_by == "ratios":
            ratio_axis(axes, drawn, along="x")
            axes.set_xlabel(f"{record.label}, × baseline")
        else:
            axes.set_xlabel(f"{record.label}, arm − baseline")
        axes.set_title(forest.where)
        return figure

"""The value of every trial, one row per arm, with the median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, condition_key, condition_title, metric_of
from harness.report.plots.dots import thinned
from harness.report.plots.style import (
    INK,
    LONG_ENTRY,
    MOST_LINES,
    MUTED,
    NARROW,
    PALETTE,
    WIDE,
    Plot,
    panel,
    scale_of,
)

MOST_PAIRS = 40
"""More lines of pairs would hide the dots."""


@dataclass(frozen=True, kw_only=True)
class Spread(Plot):
    """`points` has the columns arm (its row, from 0), round, seed, and value in the metric's unit. `left_out`
    counts the values that are not finite. `where` names the condition for people.
    """

    condition: dict[str, str]
    where: str
    labels: tuple[str, ...]
    points: pd.DataFrame

    @property
    def joined(self) -> bool:
        """Whether the trials of a pair are joined by a line."""
        pairs = len(self.points[["round", "seed"]].drop_duplicates())
        return 1 < len(self.labels) <= MOST_LINES and pairs <= MOST_PAIRS


def spreads(report: ReportInput) -> list[Spread]:
    """One plot per condition for the primary metric. A condition without a finite value has none."""
    primary, values = report.loaded.study.primary, report.values
    labels = arm_labels(report.loaded)
    rows = {arm: row for row, arm in enumerate(labels)}
    plots = []
    for condition in report.loaded.conditions:
        here = values[(values["metric"] == primary) & (values["condition"] == condition_key(condition))]
        finite = here[np.isfinite(here["value"].astype(float))]
        if finite.empty:
            continue
        points = pd.DataFrame(
            {
                "arm": finite["arm"].map(rows),
                "round": finite["round"],
                "seed": finite["seed"],
                "value": finite["value"].astype(float),
            }
        )
        plots.append(
            Spread(
                metric=primary,
                condition=condition.names,
                where=condition_title(report.loaded, condition.names),
                labels=tuple(labels.values()),
                points=points.sort_values(["arm", "round", "seed"], kind="stable", ignore_index=True),
                left_out=len(here) - len(finite),
            )
        )
    return plots


def draw_spread(spread: Spread) -> Figure:
    record = metric_of(spread.metric)
    scale = scale_of(record, list(spread.points["value"]))
    # Rounds run downwards within a row. Random jitter would hide the order and change the drawing every time.
    rounds = spread.points["round"].rank(method="dense")
    offset = (rounds - (1 + rounds.max()) / 2) / max(rounds.max() - 1, 1) * 0.5
    points = spread.points.assign(
        value=spread.points["value"] / scale.factor, height=spread.points["arm"] + offset
    )
    pairs = [pair for _, pair in points.groupby(["round", "seed"])]
    width = WIDE if max(map(len, spread.labels)) > LONG_ENTRY // 2 else NARROW
    with panel(width=width, height=0.9 + 0.34 * len(spread.labels)) as (figure, axes):
        if spread.joined:
            for pair in pairs:
                axes.plot(pair["value"], pair["height"], color=MUTED, linewidth=0.5, alpha=0.5)
        dots = thinned(points, "value", ["arm"])
        axes.scatter(dots["value"], dots["height"], color=PALETTE[0], s=16, alpha=0.8, linewidth=0)
        medians = points.groupby("arm")["value"].median()
        axes.vlines(medians, medians.index - 0.34, medians.index + 0.34, color=INK, linewidth=2)
        counts = points.groupby("arm").size()
        rows = [f"{label} (n = {counts.get(row, 0)})" for row, label in enumerate(spread.labels)]
        axes.set_yticks(range(len(rows)), labels=rows)
        axes.set_ylim(len(spread.labels) - 0.45, -0.55)
        axes.grid(visible=False, axis="y")
        for border in range(1, len(spread.labels)):
            axes.axhline(border - 0.5, color=MUTED, linewidth=0.3)
        axes.margins(x=0.06)
        axes.set(xlabel=scale.axis_label(record), ylabel="")
        axes.set_title(spread.where)
        return figure

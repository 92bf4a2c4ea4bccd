"""Every trial in the order in which it ran, relative to the median of its arm and condition. A drift of the
machine becomes visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, legend_title, metric_of
from harness.report.plots.dots import thinned
from harness.report.plots.style import (
    INK,
    MOST_LINES,
    MUTED,
    PALETTE,
    WIDE,
    Plot,
    arm_colours,
    arm_markers,
    legend_above,
    legend_height,
    panel,
)

MEDIAN = "median of the round"


@dataclass(frozen=True, kw_only=True)
class Drift(Plot):
    """`points` has the columns order (from 1), round, session, arm, and relative (value ÷ median of its arm,
    condition and seed). `left_out` counts trials without a finite value or with a median of zero.
    """

    points: pd.DataFrame


def drift(report: ReportInput) -> Drift | None:
    """The drift of the primary metric. None if there is nothing to draw, and with one round, in which every
    value is the median of its arm.
    """
    primary = report.loaded.study.primary
    values = report.values[report.values["metric"] == primary]
    ordered = values.sort_values(["session", "round", "position"], kind="stable")
    ordered = ordered.assign(order=range(1, len(ordered) + 1), value=ordered["value"].astype(float))
    finite = ordered[np.isfinite(ordered["value"])]
    usual = finite.groupby(["arm", "condition", "seed"])["value"].transform("median")
    points = finite.assign(relative=finite["value"] / usual.where(usual != 0)).dropna(subset=["relative"])
    if points.empty or points.groupby(["arm", "condition", "seed"]).size().max() == 1:
        return None
    columns = ["order", "round", "session", "arm", "relative"]
    return Drift(
        metric=primary, points=points[columns].reset_index(drop=True), left_out=len(ordered) - len(points)
    )


def draw_drift(info: Drift, report: ReportInput) -> Figure:
    labels = arm_labels(report.loaded)
    points = info.points.assign(arm=info.points["arm"].map(labels))
    dots = thinned(points, "relative", ["arm"])
    few = len(labels) <= MOST_LINES
    entries = [*(labels.values() if few else ()), MEDIAN]
    above = legend_height(entries, title=legend_title(report.loaded) if few else "")
    with panel(width=WIDE, height=2.6 + above) as (figure, axes):
        axes.axhline(1.0, color=INK, linewidth=0.8)
        axes.set_xlabel("trial, in the order of running")  # seaborn draws ticks to name an axis without label
        axes.set_ylabel(f"{metric_of(info.metric).label} ÷ median")
        if few:
            order = list(labels.values())
            sns.scatterplot(
                dots,
                x="order",
                y="relative",
                hue="arm",
                style="arm",
                hue_order=order,
                style_order=order,
                palette=arm_colours(order),
                markers=arm_markers(order),
                s=20,
                linewidth=0,
                alpha=0.8,
                ax=axes,
            )
        else:
            axes.scatter(dots["order"], dots["relative"], color=PALETTE[0], s=12, linewidth=0, alpha=0.6)
        rounds = points.groupby(["session", "round"], sort=True)
        centre = rounds.agg(order=("order", "mean"), relative=("relative", "median"), first=("order", "min"))
        axes.plot(centre["order"], centre["relative"], color=INK, linewidth=1.6, label=MEDIAN)
        _borders(info.points, figure)
        legend_above(axes, title=legend_title(report.loaded) if few else "")
        return figure


def _borders(points: pd.DataFrame, figure: Figure) -> None:
    """A line at the start of each further session."""
    axes = figure.axes[0]
    starts = points.groupby("session")["order"].min().sort_values()
    for start in starts.iloc[1:]:
        axes.axvline(start - 0.5, color=MUTED, linewidth=1.0, linestyle="--")
        axes.annotate(
            "new session",
            (start - 0.5, 0.02),
            xycoords=("data", "axes fraction"),
            rotation=90,
            ha="right",
            va="bottom",
            color=MUTED,
        )

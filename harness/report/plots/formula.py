"""Measured points and the values of a closed form for the same trials, joined by a line: one panel per arm
over a numeric condition, or measured values over computed values if there is no such condition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, condition_key, metric_of
from harness.report.plots.ratio import numeric_factors
from harness.report.plots.style import (
    INK,
    MOST_LINES,
    NARROW,
    PALETTE,
    Plot,
    level_axis,
    panel,
    scale_of,
)


@dataclass(frozen=True, kw_only=True)
class FormulaPlot(Plot):
    """`points` has the columns x, measured and formula, with one row per trial. `factor` is empty if x is the
    formula itself. `largest` is the top of the y-axis, which all panels of a claim share. `left_out` counts
    trials without both values.
    """

    claim: str
    formula: str
    title: str
    factor: str
    levels: tuple[tuple[float, str], ...]
    points: pd.DataFrame
    largest: float


def formula_plots(report: ReportInput) -> list[FormulaPlot]:
    """The plots of every claim that a metric equals a closed form, in the order of the study. A claim without
    measurements has none.
    """
    claims = report.loaded.study.claims.items()
    named = ((name, claim.formula_metrics()) for name, claim in claims)
    return [plot for name, metrics in named if metrics is not None for plot in _plots(report, name, *metrics)]


def _plots(report: ReportInput, name: str, measured: str, formula: str) -> list[FormulaPlot]:
    loaded, values = report.loaded, report.values
    keys = ["trial", "arm", "condition"]
    sides = [
        values.loc[values["metric"] == metric, [*keys, "value"]].rename(columns={"value": column})
        for metric, column in ((measured, "measured"), (formula, "formula"))
    ]
    both = sides[0].merge(sides[1], on=keys, how="outer", sort=True)
    finite = both[np.isfinite(both[["measured", "formula"]].astype(float)).all(axis=1)]
    if finite.empty:
        return []
    factors = numeric_factors(loaded)
    over_condition = len(factors) == 1 and len(loaded.arms) <= MOST_LINES
    factor = next(iter(factors)) if over_condition else ""
    largest = float(finite[["measured", "formula"]].to_numpy().max())
    panels = {"": finite}
    if over_condition:
        labels = arm_labels(loaded)
        panels = {label: finite[finite["arm"] == arm] for arm, label in labels.items()}
    plots: list[FormulaPlot] = []
    for title, part in panels.items():
        if part.empty:
            continue
        x = part["formula"]
        if over_condition:
            numbers = {condition_key(c): factors[factor][c.names[factor]] for c in loaded.conditions}
            x = part["condition"].map(numbers)
        points = part.assign(x=x)[["x", "measured", "formula"]].sort_values(
            ["x", "measured"], ignore_index=True
        )
        plots.append(
            FormulaPlot(
                claim=name,
                metric=measured,
                formula=formula,
                title=title,
                factor=factor,
                levels=tuple((number, level) for level, number in factors.get(factor, {}).items()),
                points=points.astype(float),
                largest=largest,
                left_out=len(both) - len(finite) if not plots else 0,
            )
        )
    return plots


def draw_formula(plot: FormulaPlot) -> Figure:
    record = metric_of(plot.metric)
    scale = scale_of(record, [plot.largest])
    points = plot.points.assign(
        measured=plot.points["measured"] / scale.factor, formula=plot.points["formula"] / scale.factor
    )
    top = max(plot.largest / scale.factor, math.ulp(1.0)) * 1.08
    with panel(width=NARROW, height=2.3) as (figure, axes):
        if plot.factor:
            line = points.groupby("x", as_index=False)["formula"].median()
            x, order = "x", {"x": line["x"], "y": line["formula"]}
        else:
            x, order = "formula", {"x": pd.Series([0.0, top]), "y": pd.Series([0.0, top])}
        axes.plot(order["x"], order["y"], color=INK, linewidth=1.2, label="formula")
        axes.scatter(
            points[x], points["measured"], color=PALETTE[1], s=38, linewidth=0, zorder=3, label="measured"
        )
        axes.set_ylim(-0.03 * top, top)
        if plot.factor:
            level_axis(axes, plot.levels, plot.factor)
        else:
            axes.set_xlabel(f"{metric_of(plot.formula).label} ({scale.unit})")
        axes.set_ylabel(scale.axis_label(record))
        axes.set_title(plot.title)
        axes.legend(loc="upper left")
        return figure

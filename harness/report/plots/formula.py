"""Measured points and the values of a closed form: one panel per arm over a numeric condition, with the
formula on a fine grid if it can be computed there, or measured values over computed values if there is no
such condition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import ValidationError

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, condition_key, metric_of
from harness.report.plots.dots import thinned
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
from harness.study.loaded import LoadedStudy
from harness.tasks.base import Task

GRID = 200
"""About so many points of the line of a formula."""


@dataclass(frozen=True, kw_only=True)
class FormulaPlot(Plot):
    """`points` has the columns x, measured and formula, with one row per trial. `factor` is empty if x is the
    formula itself, and `axis` is its name for people. `line` has the value of the formula on a fine grid of
    x, and is empty if the formula cannot be computed without a trial. `largest` is the top of the y-axis,
    which all panels of a claim share. `left_out` counts trials without both values.
    """

    claim: str
    formula: str
    title: str
    factor: str
    axis: str
    levels: tuple[tuple[float, str], ...]
    points: pd.DataFrame
    line: tuple[tuple[float, float], ...]
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
    panels, arms = {"": finite}, {label: arm for arm, label in arm_labels(loaded).items()}
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
                axis=loaded.names.titled(factor) if factor else "",
                levels=tuple(
                    (number, loaded.names.bare_level(factor, level))
                    for level, number in factors.get(factor, {}).items()
                ),
                points=points.astype(float),
                line=formula_line(loaded, formula, arms[title], factor, points) if over_condition else (),
                largest=largest,
                left_out=len(both) - len(finite) if not plots else 0,
            )
        )
    return plots


def formula_line(
    loaded: LoadedStudy, formula: str, arm: str, factor: str, points: pd.DataFrame
) -> tuple[tuple[float, float], ...]:
    """The formula at whole numbers between the measured conditions. Empty if it cannot be computed there, or
    if it does not give the recorded values where trials were measured: then it depends on something else.
    """
    if any(name != factor for condition in loaded.conditions for name in condition.names):
        return ()
    task = loaded.tasks.get((arm, loaded.conditions[0].name))
    if task is None or "." in factor or not isinstance(getattr(task, factor, None), int):
        return ()
    low, high = float(points["x"].min()), float(points["x"].max())
    grid = sorted(
        {*np.unique(np.geomspace(max(low, 1.0), high, GRID).round()).tolist(), *points["x"].tolist()}
    )
    line = [(x, _at(task, factor, x, formula)) for x in grid]
    if any(value is None for _, value in line):
        return ()
    values = dict(line)
    if any(values[x] != recorded for x, recorded in zip(points["x"], points["formula"], strict=True)):
        return ()
    return tuple((x, float(value)) for x, value in line if value is not None)


def _at(task: Task, factor: str, x: float, formula: str) -> float | None:
    try:
        changed = type(task).read({**task.plain(), factor: int(x)})
    except ValidationError:
        return None
    return changed.closed_form(formula)


def draw_formula(plot: FormulaPlot) -> Figure:
    record = metric_of(plot.metric)
    scale = scale_of(record, [plot.largest])
    points = plot.points.assign(
        measured=plot.points["measured"] / scale.factor, formula=plot.points["formula"] / scale.factor
    )
    top = max(plot.largest / scale.factor, math.ulp(1.0)) * 1.08
    with panel(width=NARROW, height=2.3) as (figure, axes):
        x = "x" if plot.factor else "formula"
        if plot.line:
            grid = [(at, value / scale.factor) for at, value in plot.line]
            axes.plot(*zip(*grid, strict=True), color=INK, linewidth=1.2, label="formula")
        elif plot.factor:
            marks = points.drop_duplicates(["x", "formula"])
            axes.plot(marks["x"], marks["formula"], "_", color=INK, markersize=14, label="formula")
        else:
            axes.plot([0.0, top], [0.0, top], color=INK, linewidth=1.2, label="formula")
        dots = thinned(points.drop_duplicates([x, "measured"]), "measured")
        axes.scatter(
            dots[x], dots["measured"], color=PALETTE[1], s=38, linewidth=0, zorder=3, label="measured"
        )
        axes.set_ylim(-0.03 * top, top)
        if plot.factor:
            level_axis(axes, plot.levels, plot.axis)
        else:
            axes.set_xlabel(f"{metric_of(plot.formula).label} ({scale.unit})")
        axes.set_ylabel(scale.axis_label(record))
        axes.set_title(f"{plot.title} (n = {len(plot.points)})" if plot.title else f"n = {len(plot.points)}")
        axes.legend(loc="upper left")
        return figure

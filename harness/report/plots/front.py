"""The points of a search with several objectives: all of them by their medians, with the Pareto front; and
those that were proven, by their effects on fresh seeds with intervals in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.metrics import Metric
from harness.report.plots.searched import (
    COLOURS,
    LABELS,
    MARKS,
    Placed,
    drawn_points,
    edge_mark,
    edge_notes,
    objective_axis,
    scatter,
)
from harness.report.plots.style import INK, WIDE, Plot, legend_above, panel, ratio_axis
from harness.report.shrinkage import Shrinkage
from harness.search.findings import SearchFindings
from harness.statistics import Interval, Pareto, pareto


@dataclass(frozen=True, kw_only=True)
class FrontPlot(Plot):
    """All points by two objectives. `left_out` counts points without a value, and `notes` say which points
    are not at their place.
    """

    along: Metric
    up: Metric
    points: tuple[Placed, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EffectsPlot(Plot):
    """The proven points by their effects on two objectives: level → (effect, its interval) for each of them.
    The arm with which the search began has neutral effects. `left_out` counts proven points without a valid
    effect.
    """

    along: Metric
    up: Metric
    effects: Mapping[str, tuple[tuple[float, Interval], tuple[float, Interval]]]


def front_plots(findings: SearchFindings) -> list[FrontPlot]:
    """One plot for each pair of objectives. There is none if no point has finite values."""
    known = sum(point.counts for point in findings.points)
    plots: list[FrontPlot] = []
    for up, along in combinations(findings.objectives, 2):
        on_y, on_x = drawn_points(findings, up), drawn_points(findings, along)
        if all(one.diverged for one in on_y) or all(one.diverged for one in on_x):
            continue
        plots.append(
            FrontPlot(
                metric=up.name,
                along=along,
                up=up,
                points=tuple(
                    Placed(
                        x=x.at,
                        y=y.at,
                        role=y.role,
                        edge=edge_mark(y, up, along="y") or edge_mark(x, along, along="x"),
                    )
                    for x, y in zip(on_x, on_y, strict=True)
                ),
                notes=tuple(dict.fromkeys((*edge_notes(on_y, known), *edge_notes(on_x, known)))),
                left_out=len(findings.points) - known if not plots else 0,
            )
        )
    return plots


def draw_front(info: FrontPlot) -> Figure:
    with panel(width=WIDE, height=3.4) as (figure, axes):
        across = objective_axis(axes, info.along, [one.x for one in info.points], along="x")
        upwards = objective_axis(axes, info.up, [one.y for one in info.points], along="y")
        scatter(axes, [replace(one, x=one.x / across, y=one.y / upwards) for one in info.points])
        legend_above(axes)
        return figure


def effects_plots(shrunk: Sequence[Shrinkage]) -> list[EffectsPlot]:
    """One plot for each pair of objectives on which a proven point has valid effects."""
    objectives = list({one.objective.name: one.objective for one in shrunk}.values())
    effects: dict[str, dict[str, tuple[float, Interval]]] = {}
    for one in shrunk:
        mine = effects.setdefault(one.level, {})
        if one.proof is not None and one.proven_gain is not None:
            ends = Interval(one.proof.low, one.proof.high, 1 - one.proof.alpha)
            mine[one.objective.name] = (one.proof.effect, ends)
    plots = []
    for up, along in combinations(objectives, 2):
        both = {
            level: (mine[along.name], mine[up.name])
            for level, mine in effects.items()
            if along.name in mine and up.name in mine
        }
        if both:
            plots.append(
                EffectsPlot(
                    metric=up.name, along=along, up=up, effects=both, left_out=len(effects) - len(both)
                )
            )
    return plots


def proven_front(shrunk: Sequence[Shrinkage], begin: str) -> Pareto | None:
    """The Pareto front of the proven points and of the arm with which the search began, by the intervals of
    their effects. None unless every proven point has a valid effect on every objective.
    """
    objectives = {one.objective.name: one.objective for one in shrunk}
    points = {
        begin: {
            name: Interval(objective.neutral, objective.neutral, 0.95)
            for name, objective in objectives.items()
        }
    }
    for one in shrunk:
        if one.proof is None or one.proven_gain is None:
            return None
        ends = Interval(one.proof.low, one.proof.high, 1 - one.proof.alpha)
        points.setdefault(one.level, {})[one.objective.name] = ends
    return pareto(
        points,
        {
            name: "lower" if objective.better == "lower" else "higher"
            for name, objective in objectives.items()
        },
    )


def draw_effects(info: EffectsPlot) -> Figure:
    with panel(width=WIDE, height=3.4) as (figure, axes):
        x0, y0 = info.along.neutral, info.up.neutral
        axes.axvline(x0, color=INK, linewidth=0.8)
        axes.axhline(y0, color=INK, linewidth=0.8)
        axes.plot([x0], [y0], MARKS["began"], color=COLOURS["began"], markersize=6, label=LABELS["began"])
        colour, label = COLOURS["proven"], LABELS["proven"]
        for level, ((x, across), (y, upwards)) in info.effects.items():
            if _is_bounded(across, info.along):
                axes.plot([across.low, across.high], [y, y], color=colour, linewidth=1.4)
            if _is_bounded(upwards, info.up):
                axes.plot([x, x], [upwards.low, upwards.high], color=colour, linewidth=1.4)
            axes.plot([x], [y], MARKS["proven"], color=colour, markersize=10, linestyle="none", label=label)
            axes.annotate(level, (x, y), xytext=(5, 5), textcoords="offset points", color=INK)
            label = "_"
        for objective, along, index in ((info.along, "x", 0), (info.up, "y", 1)):
            _effect_axis(axes, objective, [pair[index] for pair in info.effects.values()], along=along)
        legend_above(axes)
        return figure


def _is_bounded(ends: Interval, objective: Metric) -> bool:
    least = 0.0 if objective.compared_by == "ratios" else -math.inf
    return least < ends.low <= ends.high < math.inf


def _effect_axis(
    axes: Axes, objective: Metric, effects: Sequence[tuple[float, Interval]], *, along: str
) -> None:
    ratios = objective.compared_by == "ratios"
    if ratios:
        ends = [end for _, one in effects if _is_bounded(one, objective) for end in (one.low, one.high)]
        ratio_axis(axes, [*(effect for effect, _ in effects if effect > 0), *ends], along=along)
    how = "× where the search began" if ratios else "difference to where the search began"
    axes.set(**{f"{along}label": f"{objective.label}, {how}\n{objective.better} is better"})

"""Quality against cost: every arm with its intervals in both directions, and which arms another one beats at both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.analysis.results import Contrast
from harness.metrics import Metric, metric
from harness.report.inputs import ReportInput
from harness.report.plots.style import INK, MUTED, PALETTE, WIDE, fit, look, panel, ratio_axis
from harness.report.words import arm_labels, condition_title
from harness.statistics import Interval, Pareto, pareto


@dataclass(frozen=True, kw_only=True)
class Point:
    """Effects against the baseline with their 95 % intervals: a difference of scores, and a ratio of costs."""

    label: str
    quality: float
    quality_ends: Interval
    cost: float
    cost_ends: Interval


@dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """`points` hold the baseline too, which is exactly none of both."""

    quality: str
    cost: str
    condition: dict[str, str]
    points: tuple[Point, ...]
    front: Pareto


def tradeoffs(parts: Sequence[ReportInput]) -> list[Tradeoff]:
    """One a condition under which cost was measured, of the arms that a part on a score and a part on time have in common."""
    of_score = [part for part in parts if _primary(part).compared_by == "differences"]
    of_time = [part for part in parts if _primary(part).family == "time"]
    return [
        found
        for quality in of_score
        for cost in of_time
        for condition in cost.loaded.conditions
        if (found := _tradeoff(quality, cost, condition.names)) is not None
    ]


def _primary(part: ReportInput) -> Metric:
    return metric(part.loaded.study.primary)


def _tradeoff(quality: ReportInput, cost: ReportInput, condition: dict[str, str]) -> Tradeoff | None:
    scores, times = _contrasts(quality, None), _contrasts(cost, condition)
    baseline = quality.loaded.baseline.name
    common = [arm.name for arm in quality.loaded.arms if arm.name in scores and arm.name in times]
    if not common or cost.loaded.baseline.name != baseline:
        return None
    labels = arm_labels(quality.loaded)
    none = Interval(0.0, 0.0, 0.95), Interval(1.0, 1.0, 0.95)
    points = [Point(label=labels[baseline], quality=0.0, quality_ends=none[0], cost=1.0, cost_ends=none[1])]
    points += [
        Point(
            label=labels[name],
            quality=scores[name].effect,
            quality_ends=Interval(scores[name].low, scores[name].high, 0.95),
            cost=times[name].effect,
            cost_ends=Interval(times[name].low, times[name].high, 0.95),
        )
        for name in common
    ]
    names = _primary(quality), _primary(cost)
    better = {record.name: record.better for record in names}
    front = pareto(
        {p.label: {names[0].name: p.quality_ends, names[1].name: p.cost_ends} for p in points},
        better,  # type: ignore[arg-type]
    )
    return Tradeoff(
        quality=names[0].name, cost=names[1].name, condition=condition, points=tuple(points), front=front
    )


def _contrasts(part: ReportInput, condition: dict[str, str] | None) -> dict[str, Contrast]:
    """Of the primary metric, those that count: with numbers, under the condition or the only one."""
    primary = part.loaded.study.primary
    wanted = part.loaded.conditions[0].names if condition is None else condition
    return {
        found.arm: found
        for found in part.analysis.contrasts
        if found.metric == primary
        and found.condition == wanted
        and found.verdict != "invalid"
        and math.isfinite(found.effect)
    }


def draw_tradeoff(info: Tradeoff) -> Figure:
    quality, cost = metric(info.quality), metric(info.cost)
    with look():
        figure, axes = panel(width=WIDE, height=3.2)
        for point in info.points:
            beaten = point.label in info.front.dominated
            colour = MUTED if beaten else PALETTE[0]
            ends, cost_ends = point.quality_ends, point.cost_ends
            if math.isfinite(ends.low) and math.isfinite(ends.high):
                axes.plot([point.cost] * 2, [ends.low, ends.high], color=colour, linewidth=1.4)
            if 0 < cost_ends.low <= cost_ends.high < math.inf:
                axes.plot([cost_ends.low, cost_ends.high], [point.quality] * 2, color=colour, linewidth=1.4)
            axes.plot([point.cost], [point.quality], "X" if beaten else "o", color=colour, markersize=6)
            axes.annotate(
                point.label, (point.cost, point.quality), xytext=(4, 4), textcoords="offset points", color=INK
            )
        ratio_axis(axes, [point.cost for point in info.points], along="x")
        axes.set_xlabel(f"{cost.label}, × baseline")
        axes.set_ylabel(f"{quality.label}, arm − baseline")
        axes.set_title(condition_title(info.condition))
        return fit(figure)

"""Quality against time and memory: every arm with its intervals in both directions, and the arms that are
dominated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.analysis.results import Contrast
from harness.metrics import Metric, metric
from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, condition_title
from harness.report.plots.style import INK, MUTED, NARROW, PALETTE, panel, ratio_axis
from harness.statistics import Interval, Pareto, pareto
from harness.study.arms import Combination
from harness.tasks.base import Task
from harness.tasks.writing_task import WritingTask

MEMORY = "peak_tensor_bytes"
"""A further cost, used if the part that measures time has it for every arm."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect with its 95 % interval: a difference of scores, or a ratio of costs. `n` counts the pairs
    behind it; it is 0 for the baseline.
    """

    value: float
    ends: Interval
    n: int = 0


@dataclass(frozen=True, kw_only=True)
class Point:
    """The effects of one arm by metric."""

    label: str
    effects: Mapping[str, Effect]


@dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """The arms of two parts of a study: one measured the quality, the other the costs.

    `costs` are one or more metrics. `points` include the baseline, whose effects are exactly neutral. `front`
    is the Pareto front over all metrics.
    """

    parts: tuple[str, str]
    quality: str
    costs: tuple[str, ...]
    condition: dict[str, str]
    where: str
    points: tuple[Point, ...]
    front: Pareto


def tradeoffs(parts: Sequence[ReportInput]) -> list[Tradeoff]:
    """One trade-off per condition under which costs were measured, with the arms that a part on quality and a
    part on time have in common: the same name, task, trained model and decoding.
    """
    of_score = [part for part in parts if _is_quality(_primary(part))]
    of_time = [part for part in parts if _primary(part).timed]
    return [
        tradeoff
        for quality in of_score
        for cost in of_time
        for condition in cost.loaded.conditions
        if (tradeoff := _tradeoff(quality, cost, condition)) is not None
    ]


def _primary(part: ReportInput) -> Metric:
    return metric(part.loaded.study.primary)


def _is_quality(record: Metric) -> bool:
    return record.compared_by == "differences" and record.better != "neither"


def _tradeoff(quality: ReportInput, cost: ReportInput, condition: Combination) -> Tradeoff | None:
    score, time, scored = _primary(quality), _primary(cost), quality.loaded.conditions[0]
    measured = {score.name: _contrasts(quality, score, scored.names)}
    measured |= {record.name: _contrasts(cost, record, condition.names) for record in (time, metric(MEMORY))}
    baseline = quality.loaded.baseline.name
    same = {
        arm.name
        for arm in quality.loaded.arms
        if _same_writer(
            quality.loaded.tasks.get((arm.name, scored.name)),
            cost.loaded.tasks.get((arm.name, condition.name)),
        )
    }
    common = [
        arm.name
        for arm in quality.loaded.arms
        if arm.name in same and arm.name in measured[score.name] and arm.name in measured[time.name]
    ]
    if not common or baseline not in same or cost.loaded.baseline.name != baseline:
        return None
    if not set(common) <= set(measured[MEMORY]):
        del measured[MEMORY]
    labels = arm_labels(quality.loaded)
    neutral = {name: metric(name).neutral for name in measured}
    exact = {name: Effect(value=value, ends=Interval(value, value, 0.95)) for name, value in neutral.items()}
    points = [Point(label=labels[baseline], effects=exact)]
    points += [
        Point(
            label=labels[arm], effects={name: _effect(contrasts[arm]) for name, contrasts in measured.items()}
        )
        for arm in common
    ]
    front = pareto(
        {point.label: {name: effect.ends for name, effect in point.effects.items()} for point in points},
        {name: metric(name).better for name in measured},  # type: ignore[misc]
    )
    costs = tuple(name for name in measured if name != score.name)
    return Tradeoff(
        parts=(quality.loaded.part, cost.loaded.part),
        quality=score.name,
        costs=costs,
        condition=condition.names,
        where=condition_title(cost.loaded, condition.names),
        points=tuple(points),
        front=front,
    )


def _same_writer(one: Task | None, other: Task | None) -> bool:
    """Whether both write with the same trained model and the same decoding. The number of texts and the
    batches may differ.
    """
    if not isinstance(one, WritingTask) or not isinstance(other, WritingTask):
        return False
    return (one.name, one.model, one.decoding) == (other.name, other.model, other.decoding)


def _contrasts(part: ReportInput, record: Metric, condition: dict[str, str]) -> dict[str, Contrast]:
    """The valid contrasts of a metric under the condition, by arm."""
    return {
        contrast.arm: contrast
        for contrast in part.analysis.contrasts
        if contrast.metric == record.name
        and contrast.condition == condition
        and contrast.verdict != "invalid"
        and math.isfinite(contrast.effect)
    }


def _effect(contrast: Contrast) -> Effect:
    return Effect(value=contrast.effect, ends=Interval(contrast.low, contrast.high, 0.95), n=contrast.n)


def better_side(info: Tradeoff, cost: str) -> str:
    """The direction of the better arms in the figure: `up and left` for a high score at a low cost."""
    up = "up" if metric(info.quality).better == "higher" else "down"
    return f"{up} and {'right' if metric(cost).better == 'higher' else 'left'}"


def draw_tradeoff(info: Tradeoff, cost: str) -> Figure:
    """Quality against one of the costs. An arm that is dominated over all metrics is grey."""
    with panel(width=NARROW, height=3.0) as (figure, axes):
        for point in info.points:
            beaten = point.label in info.front.dominated
            colour = MUTED if beaten else PALETTE[0]
            up, along = point.effects[info.quality], point.effects[cost]
            if math.isfinite(up.ends.low) and math.isfinite(up.ends.high):
                axes.plot([along.value] * 2, [up.ends.low, up.ends.high], color=colour, linewidth=1.4)
            if 0 < along.ends.low <= along.ends.high < math.inf:
                axes.plot([along.ends.low, along.ends.high], [up.value] * 2, color=colour, linewidth=1.4)
            axes.plot([along.value], [up.value], "X" if beaten else "o", color=colour, markersize=6)
            axes.annotate(
                point.label, (along.value, up.value), xytext=(4, 4), textcoords="offset points", color=INK
            )
        ratio_axis(axes, [point.effects[cost].value for point in info.points], along="x")
        axes.set_xlabel(f"{metric(cost).label}, × baseline")
        axes.set_ylabel(f"{metric(info.quality).label}, arm − baseline")
        axes.set_title(f"{info.where}\n{better_side(info, cost)} is better")
        return figure

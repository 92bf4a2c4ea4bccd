"""Learning curves: what a training recorded over its updates, tokens, FLOPs or seconds, as the mean of each
arm over the seeds with its interval, and each seed as a faint line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.stats import t as student

from harness.metrics import Metric
from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, legend_title, metric_of
from harness.report.plots.style import (
    MOST_LINES,
    WIDE,
    Plot,
    arm_colours,
    axis_number,
    decade_axis,
    legend_above,
    legend_height,
    panel,
    scale_of,
)
from harness.report.plots.svg import set_tip
from harness.report.series import TrialSeries, trainings
from harness.store.rows import TrialRow
from harness.wording import count

Along = Literal["updates", "tokens", "FLOPs", "seconds"]
ALONG: tuple[Along, ...] = ("updates", "tokens", "FLOPs", "seconds")
_SPENT: dict[Along, str] = {"tokens": "training_tokens", "FLOPs": "flops"}

LEVEL = 0.95
MOST_SEEDS, MOST_SEED_LINES = 10, 60
"""The largest numbers of seeds that have a line of their own: of an arm, and of all arms together. An arm has
at least two, or none over tokens, FLOPs and seconds if there are many arms. The mean is over all seeds.
"""

WIDE_SPAN = 4.0
"""If the largest value is more than this many times the smallest, the axis is logarithmic."""

Points = tuple[tuple[float, float], ...]
"""(position along the axis, value in the unit of the metric)."""


@dataclass(frozen=True, kw_only=True)
class MeanPoint:
    """The mean over the seeds, and its interval, which is NaN with one seed."""

    x: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class LearningLine:
    """One arm. `seeds` maps a seed to its points, for the first seeds. The `mean` ends where the first seed
    ends. `n` counts the seeds.
    """

    label: str
    mean: tuple[MeanPoint, ...]
    seeds: Mapping[int, Points]
    n: int


@dataclass(frozen=True, kw_only=True)
class LearningPlot(Plot):
    """`labels` are those of all arms of the study, in the order of their colours. `where` names the
    condition, or is empty. A point is the mean of `window` samples. `seeds_left_out` counts the seeds that
    were not read.
    """

    along: Along
    where: str
    legend: str
    labels: tuple[str, ...]
    window: int
    seeds_left_out: int
    lines: tuple[LearningLine, ...]

    @property
    def title(self) -> str:
        at = f", {self.where}" if self.where else ""
        return f"{metric_of(self.metric).label} over {self.along}{at}"


def learning_plots(report: ReportInput, along: Along) -> list[LearningPlot]:
    """One plot per recorded series and condition. An arm that has not spent anything along the axis has no
    line.

    If there are more arms than one plot can show, there are several, each with the baseline.
    """
    rows = {row.id: row for row in trainings(report.trials)}
    plots = []
    for series in report.recorded.series:
        for condition in _conditions(report, rows):
            here = [one for one in series.trials if rows[one.trial].condition == condition]
            lines = list(_lines(report, here, rows, along))
            if not lines or _is_constant(here):
                continue
            plot = LearningPlot(
                metric=series.metric,
                along=along,
                where=report.loaded.names.condition(condition) if condition else "",
                legend=legend_title(report.loaded),
                labels=tuple(arm_labels(report.loaded).values()),
                window=series.window,
                seeds_left_out=series.seeds_left_out,
                lines=(),
                left_out=_not_finite(here),
            )
            plots += _panels(plot, lines)
    return plots


def _conditions(report: ReportInput, rows: Mapping[int, TrialRow]) -> list[Mapping[str, str]]:
    """The conditions of the trainings, in the order of the study; trainings of models may have none."""
    ordered: list[Mapping[str, str]] = [condition.names for condition in report.loaded.conditions]
    ordered += [row.condition for row in rows.values()]
    present = []
    for condition in ordered:
        if condition not in present and any(row.condition == condition for row in rows.values()):
            present.append(condition)
    return present


def _lines(
    report: ReportInput, series: Sequence[TrialSeries], rows: Mapping[int, TrialRow], along: Along
) -> list[LearningLine]:
    labels = arm_labels(report.loaded)
    by_arm: dict[str, dict[int, list[Points]]] = {}
    for one in series:
        row = rows[one.trial]
        x = _positions(one, row, report.recorded.seconds.get(one.trial), along)
        if x is not None:
            points = tuple(zip(x.tolist(), one.values.tolist(), strict=True))
            by_arm.setdefault(row.arm, {}).setdefault(row.seed, []).append(points)
    ordered = sorted(by_arm, key=lambda arm: (list(labels).index(arm) if arm in labels else len(labels), arm))
    drawn = min(MOST_SEEDS, max(2, MOST_SEED_LINES // max(len(by_arm), 1)))
    if drawn < MOST_SEEDS and along != ALONG[0]:
        drawn = 0
    return [_line(labels.get(arm, arm or "trained model"), by_arm[arm], drawn=drawn) for arm in ordered]


def _positions(
    one: TrialSeries, row: TrialRow, seconds: TrialSeries | None, along: Along
) -> NDArray[np.float64] | None:
    """Where the points of a training are along the axis. Tokens and FLOPs are those of a mean update, because
    only their totals are recorded. None if they are not known.
    """
    if along == "updates":
        return one.updates
    if along == "seconds":
        if seconds is None:
            return None
        known = np.append(0.0, seconds.updates), np.append(0.0, seconds.values)
        return np.asarray(np.interp(one.updates, *known), dtype=np.float64)
    spent, updates = row.spent.get(_SPENT[along]), row.spent.get("updates")
    if not spent or not updates:
        return None
    return one.updates * float(spent) / float(updates)


def _line(label: str, by_seed: Mapping[int, Sequence[Points]], *, drawn: int) -> LearningLine:
    """Trainings with the same seed, which differ in the round, are averaged first. The first `drawn` seeds
    have a line.
    """
    seeds = {seed: _average(parts) for seed, parts in sorted(by_seed.items())}
    curves = list(seeds.values())
    mean = []
    for index in range(min(map(len, curves))):
        x = float(np.mean([points[index][0] for points in curves]))
        values = np.array([points[index][1] for points in curves])
        low, high = _interval(values)
        mean.append(MeanPoint(x=x, mean=float(np.mean(values)), low=low, high=high))
    few = dict(list(seeds.items())[:drawn])
    return LearningLine(label=label, mean=tuple(mean), seeds=few, n=len(seeds))


def _average(parts: Sequence[Points]) -> Points:
    length = min(map(len, parts))
    stacked = np.mean([np.array(points[:length]).reshape(length, 2) for points in parts], axis=0)
    return tuple((float(x), float(y)) for x, y in stacked)


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan, math.nan
    half = float(
        student.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    )
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def _is_constant(series: Sequence[TrialSeries]) -> bool:
    """Whether there is nothing to see, as in the share of zero gradients if there are none."""
    return len({value for one in series for value in one.values.tolist() if math.isfinite(value)}) <= 1


def _not_finite(series: Sequence[TrialSeries]) -> int:
    return sum(int((~np.isfinite(one.values)).sum()) for one in series)


def _panels(plot: LearningPlot, lines: Sequence[LearningLine]) -> list[LearningPlot]:
    first, *rest = lines
    most = MOST_LINES - 1
    return [
        replace(plot, lines=(first, *rest[start : start + most]), left_out=plot.left_out if start == 0 else 0)
        for start in range(0, max(len(rest), 1), most)
    ]


def draw_learning(plot: LearningPlot) -> Figure:
    record = metric_of(plot.metric)
    numbers = [y for line in plot.lines for points in line.seeds.values() for _, y in points]
    numbers += [point.mean for line in plot.lines for point in line.mean]
    finite = [number for number in numbers if math.isfinite(number)]
    scale = scale_of(record, finite)
    shown = [line.label for line in plot.lines]
    colours = arm_colours(plot.labels)
    colours |= {label: colour for label, colour in arm_colours(shown).items() if label not in colours}
    above = legend_height([f"{label} (n = 10)" for label in shown], title=plot.legend)
    with panel(width=WIDE, height=2.5 + above) as (figure, axes):
        for line in plot.lines:
            _draw_line(axes, line, scale.factor, colours[line.label], record)
        if finite and _spans_widely(finite):
            drawn = [number / scale.factor for number in finite]
            decade_axis(axes, min(drawn), max(drawn), along="y", room=0.05)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=plot.along == "updates"))
        axes.xaxis.set_major_formatter(axis_number)
        axes.set_xlabel(f"{plot.along}, {plot.where}" if plot.where else plot.along)
        axes.set_ylabel(scale.axis_label(record))
        legend_above(axes, title=plot.legend)
        return figure


def _draw_line(axes: Axes, line: LearningLine, factor: float, colour: str, record: Metric) -> None:
    """A line of a single point would be invisible, so it is a dot."""
    for seed, points in line.seeds.items():
        (drawn,) = axes.plot(
            [x for x, _ in points],
            [y / factor for _, y in points],
            color=colour,
            marker="o" if len(points) == 1 else "",
            markersize=3,
            linewidth=0.7,
            alpha=0.35,
        )
        end = record.format(points[-1][1]) if points else ""
        set_tip(drawn, f"{line.label}, seed {seed}: {end} at the end")
    (mean,) = axes.plot(
        [point.x for point in line.mean],
        [point.mean / factor for point in line.mean],
        color=colour,
        marker="o" if len(line.mean) == 1 else "",
        markersize=5,
        linewidth=1.8,
        label=f"{line.label} (n = {line.n})",
    )
    if line.mean:
        last = line.mean[-1]
        between = (
            f" ({record.format(last.low)} to {record.format(last.high)})" if math.isfinite(last.low) else ""
        )
        text = (
            f"{line.label}, mean of {count(line.n, 'seed')}: {record.format(last.mean)}{between} at the end"
        )
        set_tip(mean, text)
    if any(math.isfinite(point.low) for point in line.mean):
        axes.fill_between(
            [point.x for point in line.mean],
            [point.low / factor for point in line.mean],
            [point.high / factor for point in line.mean],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )


def _spans_widely(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > WIDE_SPAN

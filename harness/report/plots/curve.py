"""Curves: the metric over the values that were tried in tuning, or over the numeric levels of a factor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, condition_key, legend_title, metric_of, short_labels
from harness.report.plots.style import (
    MOST_LINES,
    NARROW,
    PALETTE,
    WIDE,
    Plot,
    arm_colours,
    arm_markers,
    decade_axis,
    legend_above,
    legend_height,
    level_axis,
    panel,
    scale_of,
)
from harness.study.arms import arms
from harness.study.levels import level_name
from harness.study.loaded import LoadedStudy, TunedArm
from harness.study.names import Names
from harness.study.planning.tuning import best
from harness.visible import visible

LEAST_LEVELS = 3
"""A compared factor needs this many levels for a curve."""
WIDE_SPAN = 10.0
"""If the largest value is more than this many times the smallest, the axis is logarithmic."""

Points = tuple[tuple[float, float], ...]
"""(value of the setting, value of the metric in its unit)."""


@dataclass(frozen=True, kw_only=True)
class CurveLine:
    """`points` are the sorted medians, with NaN for a gap in the line. `trials` are the finite values of
    single trials. `chosen` is the value that tuning chose, or None.
    """

    label: str
    points: Points
    trials: Points
    chosen: float | None = None

    @property
    def trials_at(self) -> Counter[float]:
        """The number of the finite values at each point."""
        return Counter(x for x, _ in self.trials)


@dataclass(frozen=True, kw_only=True)
class CurvePlot(Plot):
    """`axis` is the title of the x-axis, `where` names the condition (empty if there is none), and `legend`
    the factor in which the lines differ (empty if the lines name it). `levels` are (x, name), sorted. `log`
    says whether the x-axis is logarithmic. `left_out` counts trials without a finite value.
    """

    setting: str
    axis: str
    condition: dict[str, str]
    where: str
    legend: str
    levels: tuple[tuple[float, str], ...]
    log: bool
    lines: tuple[CurveLine, ...]

    @property
    def title(self) -> str:
        return f"{self.axis}, {self.where}" if self.where else self.axis


def tuning_curves(report: ReportInput) -> list[CurvePlot]:
    """One plot per condition and one line per arm, including arms that are not finalists. There are no plots
    unless tuning has ended and exactly one setting of its grid is numeric.

    If the grid has other settings, a point shows the best of them.
    """
    loaded = report.loaded
    tune, numeric = loaded.study.design.tune, _numeric_settings(loaded.tuned)
    if tune is None or len(numeric) != 1:
        return []
    [path] = numeric
    labels = arm_labels(replace(loaded, arms=arms(loaded.study)))
    plots = []
    for condition in loaded.conditions:
        tuned = [arm for arm in loaded.tuned if arm.condition == condition.names]
        lines = [_tuned_line(arm, path, tune.by, labels[arm.arm]) for arm in tuned]
        tried = sorted({x for line in lines for x, _ in line.points})
        values = [value for arm in tuned for candidate in arm.tried for value in candidate.values]
        plot = CurvePlot(
            metric=tune.by,
            setting=path,
            axis=loaded.names.titled(path),
            condition=condition.names,
            where=loaded.names.condition(condition.names) if condition.names else "",
            legend=legend_title(loaded),
            levels=tuple((x, f"{x:.3g}") for x in tried),
            log=_spans_widely(tried),
            lines=tuple(lines),
            left_out=_not_finite(values),
        )
        plots += _panels(plot)
    return plots


def level_curves(report: ReportInput) -> list[CurvePlot]:
    """One plot per numeric factor and condition, one line per combination of the other factors' levels."""
    primary, values = report.loaded.study.primary, report.values
    plots: list[CurvePlot] = []
    counted: set[tuple[str, str]] = set()
    for factor, numbers in compared_numbers(report.loaded).items():
        names = report.loaded.names
        others = [other for other in report.loaded.study.compare if other != factor]
        lines = _lines(report.loaded, others, factor, numbers)
        levels = sorted({x for by_level in lines.values() for x in by_level})
        if len(levels) < LEAST_LEVELS:
            continue
        level_names = {x: names.bare_level(factor, name) for name, x in numbers.items()}
        for condition in report.loaded.conditions:
            key = condition_key(condition)
            here = values[(values["metric"] == primary) & (values["condition"] == key)]
            cells = {(key, arm) for by_level in lines.values() for arm in by_level.values()}
            uncounted = here["arm"].isin([arm for _, arm in cells - counted])
            plot = CurvePlot(
                metric=primary,
                setting=factor,
                axis=names.titled(factor),
                condition=condition.names,
                where=names.condition(condition.names) if condition.names else "",
                legend=names.titled(others[0]) if len(others) == 1 else "",
                levels=tuple((x, level_names[x]) for x in levels),
                log=levels[0] > 0,
                lines=tuple(_level_line(label, by_level, here) for label, by_level in lines.items()),
                left_out=_not_finite(here.loc[uncounted, "value"].tolist()),
            )
            if panels := _panels(plot):
                plots += panels
                counted |= cells
    return plots


def compared_numbers(loaded: LoadedStudy) -> dict[str, dict[str, float]]:
    """The compared factors with at least three levels that are all numbers: factor → level name → number."""
    factors = {}
    for factor, levels in loaded.study.compare.items():
        numbers = {level_name(level): _number(level_name(level)) for level in levels}
        distinct = {number for number in numbers.values() if math.isfinite(number)}
        if len(distinct) == len(levels) >= LEAST_LEVELS:
            factors[factor] = numbers
    return factors


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.nan


def _numeric_settings(tuned: Sequence[TunedArm]) -> list[str]:
    tried = [candidate.settings for arm in tuned for candidate in arm.tried]
    return [
        path
        for path in (tried[0] if tried else ())
        if all(type(settings[path]) in (int, float) for settings in tried)
    ]


def _tuned_line(tuned: TunedArm, path: str, by: str, label: str) -> CurveLine:
    values = sorted({float(one.settings[path]) for one in tuned.tried})  # type: ignore[arg-type]
    at = {x: best([one for one in tuned.tried if one.settings[path] == x], by) for x in values}
    return CurveLine(
        label=label,
        points=tuple((x, _finite(one.median)) for x, one in at.items()),
        trials=tuple((x, value) for x, one in at.items() for value in one.values if math.isfinite(value)),
        chosen=float(tuned.chosen.settings[path]),  # type: ignore[arg-type]
    )


def _lines(
    loaded: LoadedStudy, others: Sequence[str], factor: str, numbers: dict[str, float]
) -> dict[str, dict[float, str]]:
    """Label → number → arm. An arm that has no partner with the same other levels is on no line."""
    groups: dict[tuple[str, ...], dict[float, str]] = {}
    for arm in loaded.arms:
        if factor in arm.names:
            fixed = tuple(arm.names.get(other, "") for other in others)
            groups.setdefault(fixed, {})[numbers[arm.names[factor]]] = arm.name
    groups = {fixed: by_level for fixed, by_level in groups.items() if len(by_level) > 1}
    labels = short_labels(_label(loaded.names, others, fixed) for fixed in groups)
    return dict(zip(labels, groups.values(), strict=True))


def _label(names: Names, others: Sequence[str], fixed: Sequence[str]) -> str:
    """`rule sqrt, tying tied`. With one other factor it is the level alone. `no rule` means that the factor
    does not apply.
    """
    if len(others) == 1 and fixed[0]:
        return visible(names.bare_level(others[0], fixed[0]))
    named = zip(others, fixed, strict=True)
    return visible(
        ", ".join(
            names.combination({other: level}) if level else f"no {names.factor(other)}"
            for other, level in named
        )
    )


def _level_line(label: str, by_level: dict[float, str], values: pd.DataFrame) -> CurveLine:
    at = {x: values.loc[values["arm"] == arm, "value"].astype(float) for x, arm in sorted(by_level.items())}
    return CurveLine(
        label=label,
        points=tuple((x, _finite(float(part.median(skipna=False)))) for x, part in at.items()),
        trials=tuple((x, value) for x, part in at.items() for value in part.tolist() if math.isfinite(value)),
    )


def _panels(plot: CurvePlot) -> list[CurvePlot]:
    """The plot, split into several if it has too many lines; each of them repeats the first line. Plots
    without a point are left out.
    """
    first, *rest = plot.lines
    most = MOST_LINES - 1
    groups = [(first, *rest[start : start + most]) for start in range(0, max(len(rest), 1), most)]
    drawn = [lines for lines in groups if any(line.trials for line in lines)]
    return [
        replace(plot, lines=lines, left_out=0 if index else plot.left_out)
        for index, lines in enumerate(drawn)
    ]


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _not_finite(values: Sequence[float]) -> int:
    return sum(not math.isfinite(value) for value in values)


def _spans_widely(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > WIDE_SPAN


def draw_curves(plot: CurvePlot) -> Figure:
    record, labels = metric_of(plot.metric), [line.label for line in plot.lines]
    several = len(labels) > 1
    scale = scale_of(record, [y for line in plot.lines for _, y in (*line.points, *line.trials)])
    drawn = [y / scale.factor for line in plot.lines for _, y in line.trials]
    colours = arm_colours(labels) if several else dict.fromkeys(labels, PALETTE[0])
    markers = arm_markers(labels)
    above = legend_height(labels, title=plot.legend) if several else 0.0
    with panel(width=WIDE if several else NARROW, height=2.7 + above) as (figure, axes):
        for line in plot.lines:
            _draw_line(axes, line, scale.factor, colours[line.label], markers[line.label])
        level_axis(axes, _readable(plot), plot.title, log=plot.log)
        if _spans_widely(drawn):
            decade_axis(axes, min(drawn), max(drawn), along="y", room=0.08)
        axes.set_ylabel(scale.axis_label(record))
        if several:
            legend_above(axes, title=plot.legend)
        return figure


def _draw_line(axes: Axes, line: CurveLine, factor: float, colour: str, marker: str) -> None:
    axes.plot(
        [x for x, _ in line.trials],
        [y / factor for _, y in line.trials],
        "o",
        color=colour,
        markersize=3,
        markeredgewidth=0,
        alpha=0.3,
    )
    axes.plot(
        [x for x, _ in line.points],
        [y / factor for _, y in line.points],
        color=colour,
        marker=marker,
        markersize=5,
        linewidth=1.4,
        label=line.label,
    )
    chosen = [(x, y / factor) for x, y in line.points if x == line.chosen]
    axes.plot(
        [x for x, _ in chosen],
        [y for _, y in chosen],
        "o",
        color=colour,
        markersize=12,
        markerfacecolor="none",
        markeredgewidth=1.4,
    )


def _readable(plot: CurvePlot) -> list[tuple[float, str]]:
    """The levels, without the names that would overlap the name before."""
    positions = [math.log(x) if plot.log else x for x, _ in plot.levels]
    span, last, levels = positions[-1] - positions[0], -math.inf, list[tuple[float, str]]()
    for position, (x, name) in zip(positions, plot.levels, strict=True):
        # A letter takes a fortieth of the width of the narrower panel.
        room = span * (0.015 + len(name) / 40)
        levels.append((x, name if position - last >= room else ""))
        last = position if levels[-1][1] else last
    return levels

"""The ratio to the baseline over a numeric condition: one line per arm, 95 % intervals, and the claimed
ratios.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.results import Contrast
from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, legend_title, metric_of
from harness.report.plots.style import (
    INK,
    MUTED,
    WIDE,
    Plot,
    arm_colours,
    arm_markers,
    legend_above,
    legend_height,
    level_axis,
    panel,
    ratio_axis,
)
from harness.study.levels import level_name
from harness.study.loaded import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class ClaimedRatio:
    """The ratio that a source claims at one level, and the region that confirms it."""

    claim: str
    x: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class RatioPlot(Plot):
    """`points` has the columns arm, x, ratio, low, high (NaN if the interval is unbounded) and valid.
    `levels` are (x, name). `axis` is the title of the x-axis. `others` holds the levels
    of the other factors under `across`, which `where` names for people. `left_out` counts contrasts without
    a finite ratio.
    """

    factor: str
    axis: str
    others: dict[str, str]
    where: str
    levels: tuple[tuple[float, str], ...]
    points: pd.DataFrame
    claims: tuple[ClaimedRatio, ...]


def numeric_factors(loaded: LoadedStudy) -> dict[str, dict[str, float]]:
    """The factors under `across` with at least two levels that are all numbers: factor → level name
    → number.
    """
    factors = {}
    for factor, levels in loaded.study.across.items():
        numbers = {
            level_name(level): float(level)
            for level in levels
            if isinstance(level, int | float) and not isinstance(level, bool)
        }
        if len(levels) >= 2 and len(numbers) == len(levels):
            factors[factor] = numbers
    return factors


def ratio_plots(report: ReportInput) -> list[RatioPlot]:
    """One plot per numeric factor under `across` and combination of the levels of the other factors."""
    loaded, primary = report.loaded, report.loaded.study.primary
    contrasts = [contrast for contrast in report.analysis.contrasts if contrast.metric == primary]
    plots = []
    for factor, numbers in numeric_factors(loaded).items():
        for others in _other_levels(loaded, factor):
            chosen = [c for c in contrasts if {k: v for k, v in c.condition.items() if k != factor} == others]
            finite = [
                contrast for contrast in chosen if math.isfinite(contrast.effect) and contrast.effect > 0
            ]
            rows = [_point(contrast, numbers[contrast.condition[factor]]) for contrast in finite]
            points = pd.DataFrame(rows, columns=["arm", "x", "ratio", "low", "high", "valid"])
            plots.append(
                RatioPlot(
                    metric=primary,
                    factor=factor,
                    axis=loaded.names.titled(factor),
                    others=others,
                    where=loaded.names.condition(others) if others else "",
                    levels=tuple(
                        (number, loaded.names.bare_level(factor, name)) for name, number in numbers.items()
                    ),
                    points=points.sort_values("x", kind="stable", ignore_index=True),
                    claims=_claims(loaded, factor, others),
                    left_out=len(chosen) - len(finite),
                )
            )
    return plots


def draw_ratios(plot: RatioPlot, loaded: LoadedStudy) -> Figure:
    labels, points = arm_labels(loaded), dodged(plot)
    invalid = set(points.loc[~points["valid"].astype(bool), "arm"])
    arms = [arm.name for arm in loaded.arms[1:] if arm.name in set(points["arm"])]
    named = {arm: labels[arm] + (" (invalid)" if arm in invalid else "") for arm in arms}
    colours = arm_colours(list(labels)) | dict.fromkeys(invalid, MUTED)
    markers = arm_markers(list(labels))
    entries = [*named.values(), *map(_claim_label, plot.claims)]
    with panel(width=WIDE, height=2.9 + legend_height(entries, title=legend_title(loaded))) as (figure, axes):
        _baseline(axes, labels[loaded.baseline.name])
        axes.set_xlabel(plot.axis)  # seaborn draws ticks to name an axis without label
        axes.set_ylabel(f"{metric_of(plot.metric).label}, × baseline")
        sns.lineplot(
            points.assign(arm=points["arm"].map(named)),
            x="x",
            y="ratio",
            hue="arm",
            style="arm",
            hue_order=list(named.values()),
            style_order=list(named.values()),
            errorbar=None,
            palette={named[arm]: colours[arm] for arm in arms},
            markers={named[arm]: markers[arm] for arm in arms},
            dashes={named[arm]: (2.0, 2.0) if arm in invalid else () for arm in arms},
            markersize=6,
            linewidth=1.6,
            ax=axes,
        )
        for arm in arms:
            _interval_bars(axes, points[points["arm"] == arm], colours[arm])
        for claim in plot.claims:
            _claimed(axes, claim)
        level_axis(axes, plot.levels, plot.axis)
        numbers = pd.concat([points["ratio"], points["low"], points["high"]]).dropna()
        marked = itertools.chain.from_iterable((claim.low, claim.high) for claim in plot.claims)
        ratio_axis(axes, [*numbers, *marked], along="y")
        if entries:
            legend_above(axes, title=legend_title(loaded))
        return figure


DODGE = 0.012
"""How far the points of two arms at one level are apart, as a share of the axis."""


def dodged(plot: RatioPlot) -> pd.DataFrame:
    """The points, with those of different arms at one level beside each other, so that no interval hides
    another one.
    """
    levels = [x for x, _ in plot.levels]
    log = min(levels) > 0
    span = math.log(max(levels) / min(levels)) if log else max(levels) - min(levels)
    arms = list(dict.fromkeys(plot.points["arm"]))
    shift = {arm: (index - (len(arms) - 1) / 2) * DODGE * span for index, arm in enumerate(sorted(arms))}
    moved = plot.points["arm"].map(shift).astype(float)
    x = plot.points["x"] * np.exp(moved) if log else plot.points["x"] + moved
    return plot.points.assign(x=x)


def _baseline(axes: Axes, label: str) -> None:
    axes.axhline(1.0, color=INK, linewidth=1.0)
    axes.annotate(
        label if label == "baseline" else f"baseline: {label}",
        (0.995, 1.0),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=MUTED,
    )


def _claim_label(claim: ClaimedRatio) -> str:
    return f"claimed: {claim.ratio:.4g} ({claim.claim})"


def _claimed(axes: Axes, claim: ClaimedRatio) -> None:
    ends = [claim.low, claim.high]
    axes.plot([claim.x] * 2, ends, color=MUTED, linewidth=7, alpha=0.25, solid_capstyle="butt")
    label = _claim_label(claim)
    axes.plot([claim.x], [claim.ratio], "_", color=INK, markersize=16, markeredgewidth=2, label=label)


def _interval_bars(axes: Axes, points: pd.DataFrame, colour: str) -> None:
    bounded = points.dropna()
    errors = [bounded["ratio"] - bounded["low"], bounded["high"] - bounded["ratio"]]
    axes.errorbar(
        bounded["x"], bounded["ratio"], yerr=errors, fmt="none", ecolor=colour, elinewidth=1.4, capsize=3
    )


def _point(contrast: Contrast, x: float) -> dict[str, object]:
    bounded = 0 < contrast.low <= contrast.high < math.inf
    return {
        "arm": contrast.arm,
        "x": x,
        "ratio": contrast.effect,
        "low": contrast.low if bounded else math.nan,
        "high": contrast.high if bounded else math.nan,
        "valid": contrast.verdict != "invalid",
    }


def _other_levels(loaded: LoadedStudy, factor: str) -> list[dict[str, str]]:
    combinations: list[dict[str, str]] = []
    for condition in loaded.conditions:
        others = {name: level for name, level in condition.names.items() if name != factor}
        if others not in combinations:
            combinations.append(others)
    return combinations


def _claims(loaded: LoadedStudy, factor: str, others: Mapping[str, str]) -> tuple[ClaimedRatio, ...]:
    """The claims on the primary metric at one level of the factor. A factor with a single level need not be
    named in the claim.
    """
    marks = []
    for name, claim in loaded.study.claims.items():
        mark = claim.marked_ratio(loaded.study.primary)
        if mark is None:
            continue
        at = {key: level_name(level) for key, level in mark.at.items()}
        if factor in at and all(others.get(key) == level for key, level in at.items() if key != factor):
            x = numeric_factors(loaded)[factor][at[factor]]
            marks.append(ClaimedRatio(claim=name, x=x, ratio=mark.ratio, low=mark.low, high=mark.high))
    return tuple(marks)

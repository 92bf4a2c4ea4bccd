"""The effects of several rows on one axis: a strip per row, in percent of the axis. The page draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.ticker import MaxNLocator

from harness.analysis.results import without_difference
from harness.report.plots.style import ratio_ticks
from harness.wording import ComparedBy

MOST_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class DrawnEffect:
    """An effect with its interval, which may be unbounded. Effects within the `margin` do not matter, and
    those inside the `region` confirm the `claimed` one.
    """

    effect: float
    low: float
    high: float
    margin: float
    claimed: float | None = None
    region: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of the axis, from `left` to `right` in percent. An end may lie beyond the axis."""

    left: float
    right: float
    open_left: bool = False
    open_right: bool = False

    @property
    def width(self) -> float:
        return round(self.right - self.left, 2)


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One row. Positions are percent of the axis; what lies beyond it is None."""

    neutral: float
    effect: float | None
    interval: Span | None
    claimed: float | None
    margin: Span | None
    region: Span | None


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Ratios are on a logarithmic axis. `low` and `high` are its ends, and `ticks` its labels."""

    compared_by: ComparedBy
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    @property
    def neutral(self) -> float:
        return 1.0 if self.compared_by == "ratios" else 0.0

    def strip(self, row: DrawnEffect) -> Strip:
        return Strip(
            neutral=_percent(self, self.neutral),
            effect=self._inside(row.effect),
            interval=self._span(row.low, row.high),
            claimed=None if row.claimed is None else self._inside(row.claimed),
            margin=self._span(*without_difference(self.compared_by, row.margin)) if row.margin else None,
            region=None if row.region is None else self._span(*row.region),
        )

    def _inside(self, value: float) -> float | None:
        return _percent(self, value) if self.low <= value <= self.high else None

    def _span(self, low: float, high: float) -> Span | None:
        """None if one end is unknown, or if nothing of it is on the axis."""
        if not (low <= high and low <= self.high and high >= self.low):
            return None
        return Span(
            left=_percent(self, max(low, self.low)),
            right=_percent(self, min(high, self.high)),
            open_left=low < self.low,
            open_right=high > self.high,
        )


def axis_of(rows: Sequence[DrawnEffect], compared_by: ComparedBy) -> Axis | None:
    """An axis for all effects, claimed figures, regions and margins, and for their intervals unless these are
    much wider. None if no row has an effect that can be drawn.
    """
    rows = [row for row in rows if _is_drawn(row.effect, compared_by)]
    if not rows:
        return None
    core = [_scaled(row.effect, compared_by) for row in rows]
    for row in rows:
        also = (row.claimed, *(row.region or ()), *without_difference(compared_by, row.margin))
        core += [_scaled(value, compared_by) for value in also if value is not None]
    low, high = min(core), max(core)
    reach = (high - low) or 1.0
    bounds = [
        _scaled(value, compared_by)
        for row in rows
        for value in (row.low, row.high)
        if _is_drawn(value, compared_by)
    ]
    bounds = [value for value in bounds if low - reach <= value <= high + reach]
    low, high = min((low, *bounds)), max((high, *bounds))
    room = 0.06 * ((high - low) or 1.0)
    ends = low - room, high + room
    low, high = (math.exp(end) for end in ends) if compared_by == "ratios" else ends
    bare = Axis(compared_by=compared_by, low=low, high=high, ticks=())
    ticks = tuple((_percent(bare, tick), f"{tick:.4g}") for tick in _ticks(bare))
    return Axis(compared_by=compared_by, low=low, high=high, ticks=ticks)


def _ticks(axis: Axis) -> list[float]:
    """At most `MOST_TICKS` labels, with that of no difference."""
    if axis.compared_by == "differences":
        return [
            t for t in MaxNLocator(nbins=4).tick_values(axis.low, axis.high) if axis.low <= t <= axis.high
        ]
    ticks = ratio_ticks(axis.low, axis.high)
    while len(ticks) > MOST_TICKS:
        first = ticks.index(1.0) % 2 if 1.0 in ticks else 0
        ticks = ticks[first::2]
    return _apart(axis, ticks)


def _apart(axis: Axis, ticks: list[float]) -> list[float]:
    """Without those whose labels would touch the one before."""
    if not ticks:
        return []
    spaced = [ticks[0]]
    for _, tick in pairwise(ticks):
        if _percent(axis, tick) - _percent(axis, spaced[-1]) >= 10:
            spaced.append(tick)
    return spaced


def _is_drawn(value: float, compared_by: ComparedBy) -> bool:
    return math.isfinite(value) and (compared_by == "differences" or value > 0)


def _scaled(value: float, compared_by: ComparedBy) -> float:
    return math.log(value) if compared_by == "ratios" else value


def _percent(axis: Axis, value: float) -> float:
    low, high, here = (_scaled(x, axis.compared_by) for x in (axis.low, axis.high, value))
    return round(100 * (here - low) / (high - low), 2)

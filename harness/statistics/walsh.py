"""Order statistics of the Walsh averages (x_i + x_j) / 2, i ≤ j, of n values.

Few averages are sorted. Many are never computed all at once: the k-th smallest is selected in about 10 to 20
steps of n log n operations each (after Johnson & Mizoguchi 1978), with the same result to the last bit.

Values may be infinite or NaN. The average of +∞ and −∞, and of NaN and anything, is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.rank_sums import Floats, largest_sum

Columns = NDArray[np.intp]

MOST_SORTED = 250
"""Up to so many values, sorting all averages is faster than selecting one."""
_ENUMERATED = 8  # averages per value that are left when the selection computes them


@dataclass(frozen=True, eq=False)
class WalshAverages:
    """The averages of some values: `halves` holds the halves of the finite ones in ascending order, and the
    others are counted.
    """

    halves: Floats
    negative: int
    positive: int
    unknown: int

    @classmethod
    def of_values(cls, values: Floats) -> WalshAverages:
        is_finite = np.isfinite(values)
        if is_finite.all():
            return cls(halves=np.sort(values) / 2, negative=0, positive=0, unknown=0)
        finite = values[is_finite]
        negative, positive = (int(np.count_nonzero(values == end)) for end in (-np.inf, np.inf))
        return cls(
            halves=np.sort(finite) / 2,
            negative=negative,
            positive=positive,
            unknown=values.size - finite.size - negative - positive,
        )

    @property
    def size(self) -> int:
        """The number of values."""
        return self.halves.size + self.negative + self.positive + self.unknown

    def median(self) -> float:
        """The median of the averages that are known; NaN if none is known. Between −∞ and +∞ it is 0."""
        below = largest_sum(self.negative) + self.negative * self.halves.size
        above = largest_sum(self.positive) + self.positive * self.halves.size
        known = below + largest_sum(self.halves.size) + above
        if not known:
            return float("nan")
        low, high = (self._smallest(k, below=below) for k in ((known - 1) // 2 + 1, known // 2 + 1))
        if low == high:
            return low
        middle = low / 2 + high / 2
        return 0.0 if np.isnan(middle) else middle

    def smallest(self, k: int) -> float:
        """The k-th smallest average, from 1, where unknown averages are −∞."""
        lowest = self.negative + self.unknown
        below = largest_sum(lowest) + lowest * (self.halves.size + self.positive)
        return self._smallest(k, below=below)

    def largest(self, k: int) -> float:
        """The k-th largest average, from 1, where unknown averages are +∞."""
        highest = self.positive + self.unknown
        above = largest_sum(highest) + highest * (self.halves.size + self.negative)
        below = largest_sum(self.size) - above - largest_sum(self.halves.size)
        return self._smallest(largest_sum(self.size) + 1 - k, below=below)

    @cached_property
    def _sorted(self) -> Floats:
        return np.sort(_sums(self.halves))

    def above_and_below_zero(self) -> tuple[int, int]:
        """The numbers of averages above and below 0, without those that are unknown."""
        finite, halves = self.halves.size, self.halves
        # Each pair counts twice, each value with itself once.
        above = int((finite - np.searchsorted(halves, -halves, side="right")).sum())
        below = int(np.searchsorted(halves, -halves, side="left").sum())
        above += int(np.count_nonzero(halves > 0))
        below += int(np.count_nonzero(halves < 0))
        return (
            above // 2 + largest_sum(self.positive) + self.positive * finite,
            below // 2 + largest_sum(self.negative) + self.negative * finite,
        )

    def _smallest(self, k: int, *, below: int) -> float:
        """The k-th smallest average if `below` averages are −∞."""
        finite = self.halves.size
        if k <= below:
            return -np.inf
        if k > below + largest_sum(finite):
            return np.inf
        if finite <= MOST_SORTED:
            return float(self._sorted[k - below - 1])
        return _select(self.halves, k - below)


def walsh_averages(values: Floats) -> Floats:
    """(n,) → (n(n+1)/2,), sorted, NaN last. For few values: 10,000 have 50 million averages."""
    with np.errstate(invalid="ignore"):
        return np.sort(_sums(values / 2))


def _sums(halves: Floats) -> Floats:
    i, j = _pairs(halves.size)
    return halves[i] + halves[j]


@lru_cache(maxsize=64)
def _pairs(n: int) -> tuple[Columns, Columns]:
    """i ≤ j < n, as two arrays, which are cached and hence read-only."""
    i, j = np.triu_indices(n)
    i.setflags(write=False)
    j.setflags(write=False)
    return i, j


def _select(halves: Floats, k: int) -> float:
    """The k-th smallest of halves[i] + halves[j], i ≤ j, for ascending halves.

    The sums of row i ascend with column j. Columns from `start[i]` to before `end[i]` are candidates. The
    median of the rows' middle candidates, each weighted by the number of candidates of its row, has at least
    a quarter of all candidates on either side.
    """
    rows = np.arange(halves.size)
    start, end = rows.copy(), np.full(halves.size, halves.size)
    while (end - start).sum() > _ENUMERATED * halves.size:
        pivot = _weighted_middle(halves, start, end)
        smaller = _first_column(halves, start, end, pivot, beyond=False)
        if k <= (smaller - rows).sum():
            end = smaller
            continue
        not_larger = _first_column(halves, start, end, pivot, beyond=True)
        if k <= (not_larger - rows).sum():
            return pivot
        start = not_larger
    widths = end - start
    i = np.repeat(rows, widths)
    j = np.arange(i.size) - np.repeat(np.cumsum(widths) - widths - start, widths)
    rank = k - 1 - int((start - rows).sum())
    return float(np.partition(halves[i] + halves[j], rank)[rank])


def _weighted_middle(halves: Floats, start: Columns, end: Columns) -> float:
    rows = np.flatnonzero(end > start)
    sums = halves[rows] + halves[(start[rows] + end[rows]) // 2]
    order = np.argsort(sums)
    weights = np.cumsum((end - start)[rows][order])
    return float(sums[order][np.searchsorted(weights, weights[-1] / 2)])


def _first_column(halves: Floats, start: Columns, end: Columns, pivot: float, *, beyond: bool) -> Columns:
    """For each row the first candidate whose sum is at least the pivot, or `beyond` it; `end` if there is
    none.

    Sums are compared as they are rounded, so a difference pivot − halves[i] would not do.
    """
    low, high = start, end
    while (low < high).any():
        middle = np.minimum((low + high) // 2, halves.size - 1)
        sums = halves + halves[middle]
        before = (sums <= pivot if beyond else sums < pivot) & (low < high)
        low, high = np.where(before, middle + 1, low), np.where(before, high, np.minimum(middle, high))
    return low

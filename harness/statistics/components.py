"""The mean of a table whose rows and columns were both drawn at random, with its standard error from the
components of variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.statistics.rank_sums import Floats
from harness.statistics.signed_rank import Interval


@dataclass(frozen=True, slots=True)
class MeanOfTable:
    """An estimate with its standard error and Satterthwaite's degrees of freedom. Both the interval and p
    come from Student's distribution, so they never disagree.
    """

    estimate: float
    error: float
    degrees: float

    def interval(self, level: float) -> Interval:
        if not self.error:
            return Interval(self.estimate, self.estimate, level)
        from scipy.special import stdtrit  # takes half a second, which most commands do not need

        half = float(stdtrit(self.degrees, (1 + level) / 2)) * self.error
        return Interval(self.estimate - half, self.estimate + half, level)

    def beyond(self, bound: float) -> float:
        """Two-sided p of "the mean is `bound`"."""
        if not self.error:
            return 1.0 if bound == self.estimate else 0.0
        from scipy.special import stdtr

        return min(1.0, 2 * float(stdtr(self.degrees, -abs(self.estimate - bound) / self.error)))


def mean_of_table(table: Floats, estimate: float) -> MeanOfTable:
    """The `estimate` of the mean of `table` (rows, columns), in which rows and columns are crossed.

    If a value is the sum of an effect of its row, one of its column and a residual, the variance of the mean
    is that between the rows' means, plus that between the columns' means, minus that of the residuals, which
    both count (Searle, Casella & McCulloch 1992, §4.4; the same sum as in Cameron, Gelbach & Miller 2011).
    The degrees of freedom are Satterthwaite's (1946).

    Where the estimate of a component is negative: a negative variance between columns counts as 0, and the
    variance between rows, which has few degrees of freedom, stays. (To take the larger of the two instead
    makes the test reject a true null in less than 3 % where only residuals vary.) The variance between rows
    is expected to be at least that of the residuals, so a value below a quarter of it is chance and is
    raised: rows whose means happen to be equal must not make an interval without width.

    Variances that are too large for a float bound nothing. docs/validity.md, "Quality", has the rates of a
    simulation. Raises ValueError if there are fewer than two
    rows or columns, or if a value is not finite.
    """
    rows, columns = table.shape
    if min(rows, columns) < 2 or not np.isfinite(table).all():
        raise ValueError(f"a table of shape {table.shape} has no components of variance, or is not finite")
    free = (rows - 1) * (columns - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        row_means, column_means = table.mean(axis=1), table.mean(axis=0)
        residuals = table - row_means[:, None] - column_means + table.mean()
        between_columns = float(column_means.var(ddof=1)) / columns
        residual = float((residuals**2).sum()) / free / (rows * columns)
        between_rows = max(float(row_means.var(ddof=1)) / rows, residual / 4)
    if not math.isfinite(between_rows + between_columns + residual):
        return MeanOfTable(estimate, math.inf, 1)
    if between_columns <= residual:
        return MeanOfTable(estimate, math.sqrt(between_rows), rows - 1)
    variance = between_rows + between_columns - residual
    components = ((between_rows, rows - 1), (between_columns, columns - 1), (residual, free))
    spread = sum((component / variance) ** 2 / degrees for component, degrees in components)
    return MeanOfTable(estimate, math.sqrt(variance), 1 / spread)

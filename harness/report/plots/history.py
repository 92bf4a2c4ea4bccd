"""The points of a search in the order in which they were asked, the best until then, and the best that a
smaller number of points would have been expected to find.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.metrics import Metric
from harness.report.plots.searched import (
    Placed,
    axis_end,
    drawn_points,
    edge_mark,
    edge_notes,
    objective_axis,
    scatter,
)
from harness.report.plots.style import INK, PALETTE, WIDE, Plot, legend_above, panel
from harness.search.findings import SearchFindings
from harness.search.points import worst_first

MOST_STEPS = 500
"""The largest number of places at which the expected best value is drawn."""


@dataclass(frozen=True, kw_only=True)
class History(Plot):
    """`best` has (number of points, best value until then) at each improvement and at the end, `expected`
    (number of points, expected best value). `left_out` counts points without a value, and `notes` say which
    points are not at their place.
    """

    objective: Metric
    points: tuple[Placed, ...]
    best: tuple[tuple[int, float], ...]
    expected: tuple[tuple[int, float], ...]
    notes: tuple[str, ...]


def history(findings: SearchFindings, objective: Metric) -> History | None:
    """None if no point has a finite value."""
    drawn = drawn_points(findings, objective)
    if all(one.diverged for one in drawn):
        return None
    known = [point.median(objective) for point in findings.points if point.counts]
    sign, end = worst_first(objective), axis_end(known, objective)

    def clipped(value: float) -> float:
        return sign * min(sign * value, sign * end)

    so_far = findings.best_so_far(objective)
    best = [
        (count, clipped(value))
        for count, (before, value) in enumerate(zip((math.nan, *so_far), so_far, strict=False), start=1)
        if not math.isnan(value) and value != before
    ]
    expected = list(enumerate(map(clipped, findings.expected_best(objective)), start=1))
    every = math.ceil(len(expected) / MOST_STEPS)
    return History(
        metric=objective.name,
        objective=objective,
        points=tuple(
            Placed(x=one.order, y=one.at, role=one.role, edge=edge_mark(one, objective, along="y"))
            for one in drawn
        ),
        notes=edge_notes(drawn, len(known)),
        best=(*best, (len(findings.points), best[-1][1])),
        expected=tuple(one for one in expected if (one[0] - 1) % every == 0 or one[0] == len(expected)),
        left_out=len(findings.points) - len(known),
    )


def draw_history(info: History) -> Figure:
    with panel(width=WIDE, height=3.1) as (figure, axes):
        factor = objective_axis(axes, info.objective, [one.y for one in info.points], along="y")
        scatter(axes, [replace(one, y=one.y / factor) for one in info.points])
        axes.step(
            [count for count, _ in info.best],
            [value / factor for _, value in info.best],
            where="post",
            color=PALETTE[0],
            linewidth=1.6,
            label="best so far",
        )
        axes.plot(
            [count for count, _ in info.expected],
            [value / factor for _, value in info.expected],
            color=INK,
            linewidth=1.2,
            linestyle="--",
            label="expected best of so many",
        )
        axes.set_xlabel("number of points")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_above(axes)
        return figure

"""What the figures of a search have in common: which points they draw, and where those lie whose values
would make the axis too long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes

from harness.metrics import Metric
from harness.report.plots.style import INK, PALETTE, scale_of
from harness.search.findings import SearchFindings
from harness.search.points import SearchedPoint, worst_first

MOST_POINTS = 2_000
"""The largest number of points that a figure draws."""

LONGEST_TAIL = 3.0
"""An axis ends after the best three quarters of the points if the others would make it longer by this
factor.
"""

Role = Literal["asked", "front", "began", "proven"]
ROLES: tuple[Role, ...] = ("asked", "front", "began", "proven")
COLOURS = {"asked": PALETTE[0], "front": PALETTE[2], "began": INK, "proven": PALETTE[1]}
MARKS = {"asked": "o", "front": "D", "began": "s", "proven": "*"}
SIZES = {"asked": 16, "front": 24, "began": 34, "proven": 110}
LABELS = {
    "asked": "point",
    "front": "Pareto front",
    "began": "where the search began",
    "proven": "proven",
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One point on the axis of an objective. `at` is its value in the unit of the metric, or the end of the
    axis if the value lies `beyond` it or if the point `diverged`. `order` counts from 1.
    """

    point: SearchedPoint
    order: int
    role: Role
    at: float
    beyond: bool
    diverged: bool


def drawn_points(findings: SearchFindings, objective: Metric) -> tuple[Drawn, ...]:
    """The points with a value of the objective, in the order in which they were asked. Of more than
    MOST_POINTS those are drawn that are evenly spread over this order, and every one with a special role.
    """
    known = [point for point in findings.points if point.counts]
    roles = roles_of(findings)
    end = axis_end([point.median(objective) for point in known], objective)
    sign = worst_first(objective)
    drawn = []
    for point in _spread(known, roles):
        value = point.median(objective)
        beyond = sign * value > sign * end
        drawn.append(
            Drawn(
                point=point,
                order=point.number + 1,
                role=roles.get(point.number, "asked"),
                at=end if beyond else value,
                beyond=beyond and math.isfinite(value),
                diverged=not math.isfinite(value),
            )
        )
    return tuple(drawn)


def roles_of(findings: SearchFindings) -> dict[int, Role]:
    """The points with a special role, by their numbers."""
    roles: dict[int, Role] = {}
    if len(findings.objectives) > 1:
        roles = {point.number: "front" for point in findings.front}
    roles[findings.begin.number] = "began"
    return roles | {point.number: "proven" for point in findings.best.values()}


def axis_end(values: Sequence[float], objective: Metric) -> float:
    """The worst value that is drawn at its place: the worst finite one, unless the worst quarter of all
    points would take most of the axis.
    """
    sign = worst_first(objective)
    costs = sorted(sign * value for value in values)
    finite = [cost for cost in costs if math.isfinite(cost)]
    if not finite:
        return math.nan
    best, worst = finite[0], finite[-1]
    inner = finite[min(len(finite) - 1, math.ceil(0.75 * len(finite)) - 1)]
    reach = inner + 0.25 * (inner - best)
    return sign * (reach if inner > best and worst - best > LONGEST_TAIL * (inner - best) else worst)


def _spread(points: Sequence[SearchedPoint], roles: dict[int, Role]) -> list[SearchedPoint]:
    if len(points) <= MOST_POINTS:
        return list(points)
    every = {index * len(points) // MOST_POINTS for index in range(MOST_POINTS)}
    return [point for index, point in enumerate(points) if index in every or point.number in roles]


def edge_notes(drawn: Sequence[Drawn], known: int) -> tuple[str, ...]:
    """What a reader should know about the points of a figure: which are not at their place, or not drawn.
    `known` is the number of points with a value.
    """
    notes = []
    beyond, diverged = sum(one.beyond for one in drawn), sum(one.diverged for one in drawn)
    if beyond:
        notes.append(f"A triangle at the end of the axis is a point beyond it ({beyond:,} in all).")
    if diverged:
        notes.append(f"A cross at the end of the axis is a point whose training diverged ({diverged:,}).")
    if len(drawn) < known:
        notes.append(f"Of {known:,} points, {len(drawn):,} are drawn, evenly spread over their order.")
    return tuple(notes)


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A point at a place of a figure. `edge` is the mark of a point at the end of an axis, or empty."""

    x: float
    y: float
    role: Role
    edge: str = ""


def edge_mark(one: Drawn, objective: Metric, *, along: str) -> str:
    """The mark of a point at the end of the axis `along` x or y: a triangle that points to where its value
    lies, or a cross if the training diverged. It is empty for a point at its place.
    """
    if one.diverged:
        return "x"
    towards = {"x": "><", "y": "^v"}[along]
    return towards[objective.better != "lower"] if one.beyond else ""


def scatter(axes: Axes, placed: Sequence[Placed]) -> None:
    """Draw points, the special ones last."""
    for role in ROLES:
        label = LABELS[role]
        for edge in ("", "^", "v", ">", "<", "x"):
            there = [one for one in placed if one.role == role and one.edge == edge]
            if there:
                axes.scatter(
                    [one.x for one in there],
                    [one.y for one in there],
                    marker=edge or MARKS[role],
                    s=22 if edge else SIZES[role],
                    color=COLOURS[role],
                    linewidth=1.2 if edge == "x" else 0,
                    alpha=0.65 if role == "asked" else 1.0,
                    zorder=3 + ROLES.index(role),
                    clip_on=False,
                    label=label,
                )
                label = "_"


def objective_axis(axes: Axes, objective: Metric, values: Sequence[float], *, along: str) -> float:
    """Label the axis `along` x or y for values of an objective, and return the factor by which they must be
    divided.
    """
    scale = scale_of(objective, values)
    label = f"{scale.axis_label(objective)}, {objective.better} is better"
    axes.set(**{f"{along}label": label if along == "x" else label.replace(", ", "\n")})
    return scale.factor

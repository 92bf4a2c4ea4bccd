"""All points of a search in one table, and as CSV.

The page runs no script, so the rows are ordered by the style sheet: each row has its rank in every order,
and a switch above the table chooses the order. A browser that cannot do this shows the first order, the best
point first, without the switch. The CSV has the numbers at full precision for other programs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.metrics import Metric
from harness.report.inputs import ReportInput
from harness.report.labels import search_names
from harness.report.sections.samples import Csv, csv_link
from harness.report.sections.search import point_texts
from harness.search.findings import SearchFindings
from harness.search.points import SearchedPoint, worst_first
from harness.study.levels import level_name
from harness.study.names import Names
from harness.wording import UNKNOWN, count, format_seconds

MOST_ROWS = 2_000
_STATES = ("complete", "diverged", "pruned", "failed", "open")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """`note` may be empty."""

    text: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PointRow:
    """`ranks` are those of the row in each order, from 1; the rows come in the first order."""

    number: int
    tags: tuple[str, ...]
    parameters: tuple[str, ...]
    values: tuple[Cell, ...]
    state: str
    seconds: str
    reason: str
    ranks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PointsView:
    """`numbers` says which parameters are numbers. The table shows the first rows of `total`."""

    orders: tuple[str, ...]
    parameters: tuple[str, ...]
    numbers: tuple[bool, ...]
    objectives: tuple[str, ...]
    rows: tuple[PointRow, ...]
    total: int
    csv: Csv

    @property
    def columns(self) -> int:
        return len(self.parameters) + len(self.objectives) + 4


def summary(view: PointsView) -> str:
    """The number of points."""
    return count(view.total, "point")


def points_view(report: ReportInput) -> PointsView | None:
    """None for a study that proves no search."""
    search = report.search
    if search is None:
        return None
    names = search_names(report.loaded, search.space)
    orders = dict(_orders(search, names))
    shown = next(iter(orders.values()))[:MOST_ROWS]
    numbers = {point.number for point in shown}
    ranks: dict[int, list[int]] = {number: [] for number in numbers}
    for ordered in orders.values():
        for rank, point in enumerate((one for one in ordered if one.number in numbers), start=1):
            ranks[point.number].append(rank)
    tags = _tags(search)
    space, study = search.space, search.run.study.replace("/", "-")
    return PointsView(
        orders=tuple(orders),
        parameters=tuple(map(names.titled, space.parameters)),
        numbers=tuple(kind != "choice" for kind in space.kinds.values()),
        objectives=tuple(objective.label for objective in search.objectives),
        rows=tuple(
            _row(search, names, point, tags.get(point.number, ()), tuple(ranks[point.number]))
            for point in shown
        ),
        total=len(search.points),
        csv=csv_link(search.frame(), name=f"{study}-{search.run.scale}.csv"),
    )


def _orders(search: SearchFindings, names: Names) -> Iterator[tuple[str, Sequence[SearchedPoint]]]:
    """The name of each order, and the points in it. Points without a value come last."""
    first, *others = search.objectives
    points, space = search.points, search.space
    yield "best first" if not others else f"best {first.label} first", _by_objective(points, first)
    yield "as asked", points
    for objective in others:
        yield f"best {objective.label} first", _by_objective(points, objective)
    for name, parameter in space.parameters.items():
        choices = [level_name(choice) for choice in parameter.choices or ()]
        values = {
            point.number: choices.index(text) if choices else float(text)
            for point in points
            if (text := point.names.get(name)) is not None
        }
        yield names.factor(name), _by_value(points, values)
    yield "longest first", sorted(points, key=lambda point: (-point.seconds, point.number))


def _by_value(points: Sequence[SearchedPoint], values: Mapping[int, float]) -> list[SearchedPoint]:
    """The points from the smallest value to the largest, then those without one."""
    return sorted(points, key=lambda point: (values.get(point.number, math.inf), point.number))


def _by_objective(points: Sequence[SearchedPoint], objective: Metric) -> list[SearchedPoint]:
    """The complete points from the best to the worst, then the others by their states."""

    def key(point: SearchedPoint) -> tuple[int, float, int]:
        cost = worst_first(objective) * point.median(objective) if point.state == "complete" else 0.0
        return _STATES.index(point.state), cost, point.number

    return sorted(points, key=key)


def _tags(search: SearchFindings) -> dict[int, tuple[str, ...]]:
    tags: dict[int, list[str]] = {}
    if len(search.objectives) > 1:
        for point in search.front:
            tags.setdefault(point.number, []).append("Pareto front")
    tags.setdefault(search.begin.number, []).insert(0, "began here")
    for level, point in search.best.items():
        tags.setdefault(point.number, []).insert(0, f"proven: {level}")
    return {number: tuple(texts) for number, texts in tags.items()}


def _row(
    search: SearchFindings,
    names: Names,
    point: SearchedPoint,
    tags: tuple[str, ...],
    ranks: tuple[int, ...],
) -> PointRow:
    texts = point_texts(search.space, point, names)
    return PointRow(
        number=point.number,
        tags=tags,
        parameters=tuple(texts.get(path, UNKNOWN) for path in search.space.parameters),
        values=tuple(_cell(search, point, objective) for objective in search.objectives),
        state=point.state,
        seconds=format_seconds(point.seconds),
        reason=point.reason,
        ranks=ranks,
    )


def _cell(search: SearchFindings, point: SearchedPoint, objective: Metric) -> Cell:
    values = point.values.get(objective.name, ())
    if not values:
        return Cell(text=UNKNOWN)
    partial = len(values) < search.search.seeds
    return Cell(
        text=objective.format(point.median(objective)),
        note=f"{count(len(values), 'seed')} of {search.search.seeds}" if partial else "",
    )

"""The values of an objective over each parameter of a search: one panel per parameter."""

from __future__ import annotations

from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from harness.metrics import Metric
from harness.report.labels import short_labels
from harness.report.plots.searched import (
    Placed,
    drawn_points,
    edge_mark,
    edge_notes,
    objective_axis,
    scatter,
)
from harness.report.plots.style import NARROW, WIDE, Plot, decade_axis, panel
from harness.search.findings import SearchFindings
from harness.study.levels import level_name
from harness.study.names import Names
from harness.study.space import Space, choice_value
from harness.wording import chosen_text

MOST_TICKS = 8
"""Up to so many values of a range, each has a tick."""

GOLDEN = 0.6180339887498949
"""Its multiples spread over an interval, so that the points of one choice lie beside each other."""


@dataclass(frozen=True, kw_only=True)
class Slice(Plot):
    """`axis` is the name of the parameter for people. `points` are those that have it: `x` is its value, or
    an index of `choices`. `values` are all that a range has, if they are few. `ends` are those of the range,
    or of the indices. `left_out` counts points with a value that do not have the parameter, and `notes` say
    which points are not at their place.
    """

    objective: Metric
    parameter: str
    axis: str
    integers: bool
    log: bool
    choices: tuple[str, ...]
    values: tuple[float, ...]
    ends: tuple[float, float]
    points: tuple[Placed, ...]
    notes: tuple[str, ...]


def slices(findings: SearchFindings, objective: Metric, names: Names) -> list[Slice]:
    """One slice for each parameter that a point with a value has."""
    drawn, space = drawn_points(findings, objective), findings.space
    if all(one.diverged for one in drawn):
        return []
    notes, plots = edge_notes(drawn, sum(point.counts for point in findings.points)), []
    for name, parameter in space.parameters.items():
        here = tuple(one for one in drawn if name in one.point.names)
        values = tuple(space.read(one.point.names)[name] for one in here)
        choices = tuple(map(choice_value, parameter.choices or ()))
        if not here:
            continue
        plots.append(
            Slice(
                metric=objective.name,
                objective=objective,
                parameter=name,
                axis=names.titled(name),
                integers=space.kinds[name] == "int",
                log=parameter.log,
                choices=tuple(names.bare_level(name, level_name(choice)) for choice in choices),
                values=_few_values(space, name),
                ends=(0.0, len(choices) - 1.0) if choices else space.ends(name),
                points=tuple(
                    Placed(
                        x=float(choices.index(value) if choices else value),  # type: ignore[arg-type]
                        y=one.at,
                        role=one.role,
                        edge=edge_mark(one, objective, along="y"),
                    )
                    for one, value in zip(here, values, strict=True)
                ),
                notes=notes,
                left_out=len(drawn) - len(here),
            )
        )
    return plots


def _few_values(space: Space, name: str) -> tuple[float, ...]:
    values = space.values(name) if space.kinds[name] != "choice" else None
    few = values is not None and len(values) <= MOST_TICKS
    return tuple(float(value) for value in values) if few else ()  # type: ignore[arg-type, union-attr]


def draw_slice(info: Slice, *, alone: bool) -> Figure:
    """`alone` says that the figure has no other panel, so that this one can be larger."""
    with panel(width=WIDE if alone else NARROW, height=2.8 if alone else 2.5) as (figure, axes):
        factor = objective_axis(axes, info.objective, [one.y for one in info.points], along="y")
        placed = []
        for number, one in enumerate(info.points):
            aside = ((number * GOLDEN) % 1 - 0.5) * 0.5 if info.choices else 0.0
            placed.append(replace(one, x=one.x + aside, y=one.y / factor))
        scatter(axes, placed)
        _x_axis(axes, info)
        axes.set_xlabel(f"{info.axis} (n = {len(info.points)})")
        return figure


def _x_axis(axes: Axes, info: Slice) -> None:
    low, high = info.ends
    if info.choices:
        labels = short_labels(info.choices)
        turned = sum(map(len, labels)) > 34
        axes.set_xlim(low - 0.5, high + 0.5)
        axes.set_xticks(
            range(len(labels)), labels, rotation=35 if turned else 0, ha="right" if turned else "center"
        )
        axes.grid(visible=False, axis="x")
    elif info.log:
        decade_axis(axes, low, high)
    else:
        axes.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
        axes.xaxis.set_major_locator(
            FixedLocator(info.values) if info.values else MaxNLocator(nbins=5, integer=info.integers)
        )
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: chosen_text(tick)))

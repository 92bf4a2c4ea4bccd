"""Every point of a search as a line over all parameters and objectives, each with an axis of its own."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Literal

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from harness.metrics import Metric
from harness.report.labels import short_labels
from harness.report.plots.searched import drawn_points
from harness.report.plots.style import INK, MUTED, PALETTE, PAPER, WIDE, Plot, panel, scale_of
from harness.search.findings import SearchFindings
from harness.search.importance import BEST_SHARE
from harness.search.points import SearchedPoint
from harness.study.levels import Scalar, level_name
from harness.study.names import Names
from harness.study.space import Space, choice_value
from harness.wording import chosen_text

MOST_AXES = 12
LINE = 15
MISSING = -0.14
"""Where a line crosses the axis of a parameter that does not exist at the point. The axis is from 0 to 1."""

Group = Literal["other", "good", "began", "proven"]
_LOOKS: dict[Group, tuple[str, float, float, str]] = {
    "other": (MUTED, 0.7, 0.35, "-"),
    "good": (PALETTE[0], 1.0, 0.75, "-"),
    "began": (INK, 1.6, 1.0, "--"),
    "proven": (PALETTE[1], 2.2, 1.0, "-"),
}


@dataclass(frozen=True, kw_only=True)
class ParallelAxis:
    """`ticks` are (position from 0 to 1, text)."""

    label: str
    ticks: tuple[tuple[float, str], ...]
    conditional: bool


@dataclass(frozen=True, kw_only=True)
class Parallel(Plot):
    """`lines` has the group of each point and its position on each axis. `left_out` counts the parameters
    that have no axis.
    """

    axes: tuple[ParallelAxis, ...]
    lines: tuple[tuple[Group, tuple[float, ...]], ...]


def parallel(findings: SearchFindings, names: Names) -> Parallel | None:
    """None if there is one parameter, or if no point of the space has a finite value."""
    space = findings.space
    on_axes = [drawn_points(findings, objective) for objective in findings.objectives]
    chosen = [position for position, one in enumerate(on_axes[0]) if one.point.names]
    if len(space.parameters) < 2 or all(on_axes[0][position].diverged for position in chosen):
        return None
    paths = list(space.parameters)[: MOST_AXES - len(findings.objectives)]
    good = {point.number for point in _good(findings)}
    reach = [(min(one.at for one in drawn), max(one.at for one in drawn)) for drawn in on_axes]
    lines = []
    for position in chosen:
        one = on_axes[0][position]
        group: Group = "other"
        if one.role in ("began", "proven"):
            group = one.role
        elif one.point.number in good:
            group = "good"
        values = space.read(one.point.names)
        positions = [_position(space, path, values[path]) if path in values else MISSING for path in paths]
        positions += [_share(ends, drawn[position].at) for ends, drawn in zip(reach, on_axes, strict=True)]
        lines.append((group, tuple(positions)))
    order: tuple[Group, ...] = ("other", "good", "began", "proven")
    axes = [
        ParallelAxis(
            label=names.titled(path),
            ticks=_ticks(space, path, names),
            conditional=bool(space.parameters[path].when),
        )
        for path in paths
    ]
    axes += [
        _objective_axis(objective, ends) for objective, ends in zip(findings.objectives, reach, strict=True)
    ]
    return Parallel(
        metric=findings.objectives[0].name,
        axes=tuple(axes),
        lines=tuple(sorted(lines, key=lambda line: order.index(line[0]))),
        left_out=len(space.parameters) - len(paths),
    )


def draw_parallel(info: Parallel) -> Figure:
    count = len(info.axes)
    labels = ["\n".join(textwrap.wrap(axis.label, LINE, break_long_words=False)) for axis in info.axes]
    turned = any(len(line) > LINE for label in labels for line in label.split("\n"))
    with panel(width=min(8.6, max(WIDE, 1.15 * count)), height=3.3) as (figure, axes):
        for group, (colour, width, alpha, style) in _LOOKS.items():
            paths = [list(enumerate(positions)) for one, positions in info.lines if one == group]
            if paths:
                axes.add_collection(
                    LineCollection(paths, colors=colour, linewidths=width, alpha=alpha, linestyles=style)
                )
        for x, (axis, label) in enumerate(zip(info.axes, labels, strict=True)):
            axes.plot([x, x], [0, 1], color=INK, linewidth=1.0)
            ticks = [*axis.ticks, *([(MISSING, "not there")] if axis.conditional else [])]
            for y, text in ticks:
                axes.plot([x - 0.02, x + 0.02], [y, y], color=INK, linewidth=1.0)
                axes.annotate(
                    text,
                    (x, y),
                    xytext=(5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7.5,
                    color=INK,
                    bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
                )
            axes.annotate(
                label,
                (x, 1),
                xytext=(0, 8),
                textcoords="offset points",
                ha="left" if turned else "center",
                va="bottom",
                rotation=25 if turned else 0,
                weight="bold",
            )
        axes.set_xlim(-0.3, count - 0.35)
        axes.set_ylim(-0.22 if any(axis.conditional for axis in info.axes) else -0.06, 1.06)
        axes.axis("off")
        return figure


def _good(findings: SearchFindings) -> tuple[SearchedPoint, ...]:
    """The best quarter of the points, or the Pareto front of several objectives."""
    if len(findings.objectives) > 1:
        return findings.front
    return findings.ranked[: math.ceil(BEST_SHARE * len(findings.ranked))]


def _position(space: Space, name: str, value: Scalar) -> float:
    """Where a value lies on the axis of its parameter, which is the range of the space."""
    parameter = space.parameters[name]
    if parameter.choices is not None:
        choices = list(map(choice_value, parameter.choices))
        return choices.index(value) / (len(choices) - 1)
    return space.relative_position(name, value)


def _ticks(space: Space, name: str, names: Names) -> tuple[tuple[float, str], ...]:
    parameter = space.parameters[name]
    if parameter.choices is not None:
        labels = short_labels([names.bare_level(name, level_name(choice)) for choice in parameter.choices])
        return tuple((position / (len(labels) - 1), label) for position, label in enumerate(labels))
    low, high = space.ends(name)
    middle = math.sqrt(low * high) if parameter.log else (low + high) / 2
    if values := space.values(name):
        middle = min(map(float, values), key=lambda value: abs(value - middle))  # type: ignore[arg-type]
    return tuple((space.relative_position(name, value), chosen_text(value)) for value in (low, middle, high))


def _share(ends: tuple[float, float], value: float) -> float:
    """Where a value lies between two ends, from 0 to 1."""
    low, high = ends
    return (value - low) / (high - low) if high > low else 0.5


def _objective_axis(objective: Metric, ends: tuple[float, float]) -> ParallelAxis:
    scale, (low, high) = scale_of(objective, ends), ends
    ticks = [(0.0, low), (1.0, high)] if high > low else [(0.5, low)]
    arrow = "↓" if objective.better == "lower" else "↑"
    return ParallelAxis(
        label=f"{scale.axis_label(objective)} {arrow}",
        ticks=tuple((position, chosen_text(value / scale.factor)) for position, value in ticks),
        conditional=False,
    )

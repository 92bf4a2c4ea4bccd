"""The common look of all figures: sizes, fonts, colours with markers for readers who do not see colours, and
axes in readable units.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from harness.metrics import Metric
from harness.wording import chosen_text

# Stand-ins that become the page's own colours, which differ between light, dark and print (svg.py).
INK, MUTED, RULE, PAPER = "#1b1f24", "#57606b", "#d8dee5", "#fdfeff"
PALETTE: tuple[str, ...] = tuple(mpl.colors.to_hex(colour) for colour in sns.color_palette("colorblind"))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_LINES = len(MARKERS)
"""The largest number of arms in one panel, with the baseline: more colours and markers are hard to
distinguish.
"""

WIDE, NARROW = 4.3, 3.4
"""Widths in inches: of a single panel, and of one of several panels."""

LONG_ENTRY = 20
"""If an entry of a legend has more letters than this, two of them are wider than a panel."""

_RC: dict[Any, Any] = sns.plotting_context("paper") | {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def arm_colours(labels: Sequence[str]) -> dict[str, str]:
    """The colour of each arm, the same in all figures. The first arm is the baseline; it is grey."""
    return dict(zip(labels, (MUTED, *PALETTE), strict=False))


def arm_markers(labels: Sequence[str]) -> dict[str, str]:
    return dict(zip(labels, MARKERS, strict=False))


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What every plot of a metric has. `left_out` counts the values that are not finite and cannot be drawn;
    each is counted in one plot only.
    """

    metric: str
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values are divided by `factor` and labelled in `unit`."""

    factor: float
    unit: str

    def axis_label(self, metric: Metric) -> str:
        return f"{metric.label} ({self.unit})" if self.unit else metric.label


def scale_of(metric: Metric, values: Sequence[float]) -> Scale:
    """The unit in which the largest value reads well: KiB or MiB for bytes, ms or µs for seconds."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if metric.unit == "B":
        steps: tuple[tuple[float, str], ...] = (
            (1024.0**3, "GiB"),
            (1024.0**2, "MiB"),
            (1024.0, "KiB"),
            (1.0, "B"),
        )
    elif metric.unit == "s":
        steps = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    else:
        return Scale(factor=1.0, unit=metric.unit)
    factor, unit = next((step for step in steps if largest >= step[0]), steps[-1])
    return Scale(factor=factor, unit=unit)


@contextmanager
def panel(*, width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """An empty panel of this size in inches, to draw on in the common look. In the end its margins fit its
    labels.
    """
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader's fonts draw it
        figure = Figure(figsize=(width, height))
        yield figure, figure.add_subplot()
        figure.tight_layout(pad=0.4)


ENTRY = 0.17
"""The height in inches of a line of a legend."""


def legend_height(labels: Sequence[str], *, title: str = "") -> float:
    """The height in inches that `legend_above` needs."""
    return ENTRY * (math.ceil(len(labels) / _columns(labels)) + bool(title))


def _columns(labels: Sequence[str]) -> int:
    return 1 if max(map(len, labels), default=0) > LONG_ENTRY else 2


def legend_above(axes: Axes, *, title: str = "") -> None:
    """A legend above the axes, where it hides no point, with two columns if the labels are short. The panel
    must be high enough for it (`legend_height`). `title` says what the entries are.
    """
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=_columns(axes.get_legend_handles_labels()[1]),
        borderaxespad=0.2,
        columnspacing=1.4,
        title=title or None,
        alignment="left",
    )


def level_axis(axes: Axes, levels: Sequence[tuple[float, str]], label: str, *, log: bool = True) -> None:
    """An x-axis with a tick at each level. With `log` it has the base 2, if all levels are positive."""
    ticks = [x for x, _ in levels]
    if log and min(ticks) > 0:
        axes.set_xscale("log", base=2)
        axes.set_xlim(min(ticks) / 2**0.35, max(ticks) * 2**0.35)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    names = dict(levels)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: names.get(x, "")))
    axes.set_xlabel(label)


def axis_number(value: float, _: object = None) -> str:
    """A number on an axis: `120`, `20 k`, `3 M`, `2e12`."""
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if factor <= abs(value) < 1e9:
            return f"{value / factor:.4g} {letter}"
    return f"{value:.4g}".replace("e+0", "e").replace("e+", "e")


def ratio_ticks(low: float, high: float) -> list[float]:
    """The ticks of a logarithmic axis of ratios from `low` to `high`: at least two, and not too many.

    Raises ValueError unless 0 < low ≤ high, both finite.
    """
    if not 0 < low <= high < math.inf:
        raise ValueError(f"the range of ratios must be positive and finite, but it is [{low}, {high}]")
    if high / low < 3:
        ticks = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        return [float(tick) for tick in ticks if low <= tick <= high]
    octaves = math.log2(high / low)
    every = max(1, math.ceil(octaves / 7))
    first, last = math.floor(math.log2(low)), math.ceil(math.log2(high))
    ticks = [2.0**power for power in range(first - first % every, last + 1, every)]
    if octaves < 4:
        ticks += [1.5 * tick for tick in ticks]
    return sorted(tick for tick in ticks if low <= tick <= high)


def ratio_axis(axes: Axes, drawn: Sequence[float], *, along: str) -> None:
    """A logarithmic axis for the ratios `drawn` and for 1. `along` is `x` or `y`."""
    low, high = min(*drawn, 1.0), max(*drawn, 1.0)
    room = max((high / low) ** 0.08, 1.01)
    low, high = low / room, high * room
    _logarithmic(axes, (low, high), ratio_ticks(low, high), along=along)


def decade_axis(axes: Axes, low: float, high: float, *, along: str = "x", room: float = 0.04) -> None:
    """A logarithmic axis from `low` to `high` with a few plain numbers as ticks. Both are positive. `room` is
    the free share at both ends.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 5))
    ticks = [10.0**power for power in range(first, last + 1, every)]
    if len(_inside(ticks, low, high)) < 3:
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in (1, 2, 5)]
    if len(_inside(ticks, low, high)) < 2:
        ticks = [low, high]
    factor = (high / low) ** room
    _logarithmic(axes, (low / factor, high * factor), _inside(ticks, low, high), along=along)


def _inside(ticks: Sequence[float], low: float, high: float) -> list[float]:
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def _logarithmic(axes: Axes, ends: tuple[float, float], ticks: Sequence[float], *, along: str) -> None:
    axis = axes.xaxis if along == "x" else axes.yaxis
    axes.set(**{f"{along}scale": "log", f"{along}lim": ends})
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda tick, _: chosen_text(tick)))

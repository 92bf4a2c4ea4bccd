"""The effect of the beam width on the score, on the model's own score and on the length, so that the cause of
worse texts is visible.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from harness.config import canonical_json
from harness.models.decoding.config import BeamSearch, Greedy, LengthPenalty, MeanPenalty
from harness.report.inputs import ReportInput
from harness.report.labels import metric_of
from harness.report.plots.style import MARKERS, NARROW, PALETTE, legend_above, level_axis, panel
from harness.statistics import Interval, SentenceStatistics, bootstrap_interval

RESAMPLES = 1000
SHOWN = ("bleu", "model_score", "length_ratio")


@dataclass(frozen=True, kw_only=True)
class WidthLine:
    """One search at several widths. `points` are (width, value, 95 % interval)."""

    label: str
    points: tuple[tuple[int, float, Interval], ...]


@dataclass(frozen=True, kw_only=True)
class WidthPlot:
    """`title` names the quantity that is drawn over the width, and `texts` counts the texts behind each
    value.
    """

    title: str
    texts: int
    lines: tuple[WidthLine, ...]


def width_plots(report: ReportInput) -> list[WidthPlot]:
    """One plot per score, one line per way to rank hypotheses. There are no plots if no search has two
    widths.

    Greedy decoding is a beam of width 1.
    """
    searches = [search for search in _searches(report) if len(search.arms) > 1]
    if not searches:
        return []
    plots = []
    for name in SHOWN:
        statistics = {
            arm: sentences.statistics(name)
            for arm, sentences in report.written.items()
            if name in sentences.scores
        }
        plots.append(_plot(metric_of(name).label, searches, statistics))
        if name == "model_score":
            plots[-1] = replace(plots[-1], title="model score per token")
            sums = {arm: _sentence_sums(tokens) for arm, tokens in statistics.items()}
            plots.append(_plot("model score per sentence", searches, sums))
    return [plot for plot in plots if plot.lines]


@dataclass(frozen=True, kw_only=True)
class _Search:
    """`arms` maps each width to the arm that uses it, for one length penalty."""

    label: str
    arms: dict[int, str]


def _searches(report: ReportInput) -> list[_Search]:
    """Groups of arms whose tasks differ only in the width. A greedy arm belongs to every search with the same
    task.
    """
    condition = report.loaded.conditions[0].name
    greedy: dict[str, str] = {}
    beams: dict[tuple[str, str], dict[int, str]] = {}
    penalties: dict[tuple[str, str], str] = {}
    for arm in report.written:
        task = report.loaded.tasks.get((arm, condition))
        decoding = getattr(task, "decoding", None)
        if task is None or not isinstance(decoding, Greedy | BeamSearch):
            continue
        rest = canonical_json({name: value for name, value in task.plain().items() if name != "decoding"})
        if isinstance(decoding, Greedy):
            greedy[rest] = arm
        else:
            search = rest, decoding.model_copy(update={"width": 1, "n_best": 1}).model_dump_json()
            beams.setdefault(search, {})[decoding.width] = arm
            penalties[search] = _ranked_by(decoding.length_penalty)
    twice = Counter(penalties.values())
    return [
        _Search(
            label=penalties[search] + (f" ({number})" if twice[penalties[search]] > 1 else ""),
            arms=dict(sorted({**({1: greedy[search[0]]} if search[0] in greedy else {}), **arms}.items())),
        )
        for number, (search, arms) in enumerate(beams.items(), start=1)
    ]


def _ranked_by(penalty: LengthPenalty) -> str:
    if isinstance(penalty, MeanPenalty):
        return "by log P / length"
    return f"by log P / lp({penalty.alpha:g})" if penalty.alpha else "by log P"


def _sentence_sums(tokens: SentenceStatistics) -> SentenceStatistics:
    """The sum over the tokens of a sentence instead of the mean. A search that does not divide by the length
    ranks hypotheses by it.
    """
    return replace(tokens, values=np.column_stack([tokens.values[:, 0], np.ones(tokens.sentences)]))


def _plot(title: str, searches: list[_Search], statistics: dict[str, SentenceStatistics]) -> WidthPlot:
    intervals = {
        arm: bootstrap_interval(statistics[arm], resamples=RESAMPLES)
        for search in searches
        for arm in search.arms.values()
        if arm in statistics
    }
    lines = [
        WidthLine(
            label=search.label,
            points=tuple(
                (width, statistics[arm].corpus_score, intervals[arm])
                for width, arm in search.arms.items()
                if arm in statistics
            ),
        )
        for search in searches
    ]
    texts = max((one.sentences for one in statistics.values()), default=0)
    return WidthPlot(title=title, texts=texts, lines=tuple(line for line in lines if line.points))


def draw_widths(plot: WidthPlot) -> Figure:
    with panel(width=NARROW, height=2.8) as (figure, axes):
        for index, line in enumerate(plot.lines):
            colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
            # Lines are shifted a little, so that intervals at the same width do not overlap.
            widths = [width * 1.05 ** (index - (len(plot.lines) - 1) / 2) for width, _, _ in line.points]
            values = [value for _, value, _ in line.points]
            axes.plot(
                widths, values, color=colour, marker=marker, markersize=5, linewidth=1.4, label=line.label
            )
            for width, (_, _, ends) in zip(widths, line.points, strict=True):
                axes.plot([width] * 2, [ends.low, ends.high], color=colour, linewidth=1.2)
        levels = sorted({width for line in plot.lines for width, _, _ in line.points})
        level_axis(axes, [(float(width), str(width)) for width in levels], "beam width")
        axes.set_ylabel(plot.title)
        legend_above(axes)
        return figure

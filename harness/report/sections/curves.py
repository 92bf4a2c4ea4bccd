"""Learning curves: every series that trainings recorded, over updates, tokens, FLOPs or seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.report.inputs import ReportInput
from harness.report.labels import metric_of
from harness.report.plots.learning import (
    ALONG,
    LEVEL,
    Along,
    LearningPlot,
    draw_learning,
    learning_plots,
)
from harness.report.sections.figures import FigureView, figure_of, not_finite
from harness.wording import count, level_text

MOST_METRICS_ELSEWHERE = 2
"""So many metrics are also drawn over tokens, FLOPs and seconds. All are drawn over updates."""


@dataclass(frozen=True, kw_only=True)
class CurvesView:
    """`figures` are one drawing of the same data per axis, and the reader chooses the axis."""

    figures: tuple[tuple[Along, FigureView], ...]
    group: str
    not_drawn: str


def curves_view(report: ReportInput) -> CurvesView | None:
    """None if no training recorded a series."""
    figures = []
    for along in ALONG:
        plots = learning_plots(report, along)
        if along != ALONG[0]:
            metrics = list(dict.fromkeys(plot.metric for plot in plots))[:MOST_METRICS_ELSEWHERE]
            plots = [plot for plot in plots if plot.metric in metrics]
        figure = _figure(report, along, plots)
        if figure is not None:
            links = {report.anchor("samples"): "all trials"}
            figures.append((along, replace(figure, links=links)))
    if not figures:
        return None
    left_out = ", ".join(metric_of(name).label for name in report.recorded.not_drawn)
    return CurvesView(
        figures=tuple(figures),
        group=report.anchor("curves", "axis"),
        not_drawn=f"Also recorded, and not drawn: {left_out}." if left_out else "",
    )


def _figure(report: ReportInput, along: Along, plots: Sequence[LearningPlot]) -> FigureView | None:
    return figure_of(
        report.anchor("figure-learning", along),
        f"What the trainings recorded, over {along}",
        _caption(along, plots),
        plots,
        lambda plot: (draw_learning(plot), plot.title),
        left_out=not_finite(sum(plot.left_out for plot in plots), "point"),
    )


def _caption(along: Along, plots: Sequence[LearningPlot]) -> str:
    sentences = [
        f"A thick line is the mean over the seeds; a band is its {level_text(LEVEL)} interval (Student's t).",
        "It ends where the first seed of the arm ends. Thin lines are single seeds.",
        _smoothing(plots),
    ]
    if along in ("tokens", "FLOPs"):
        sentences.append(f"Only the sum of all {along} is recorded, so every update counts as a mean one.")
    if along == "seconds":
        sentences.append("Seconds are those of the updates, without evaluations.")
    if drawn := [len(line.seeds) for plot in plots for line in plot.lines if len(line.seeds) < line.n]:
        few = f"Only the first {max(drawn)} seeds of an arm have a line."
        sentences.append(few if max(drawn) else "Single seeds have lines only over updates.")
    left_out = max((plot.seeds_left_out for plot in plots), default=0)
    if left_out:
        sentences.append(
            f"There are too many samples to draw all seeds: the last {count(left_out, 'seed')} of a series "
            "are left out of lines and means."
        )
    sentences.append("Trials of tuning and series that never change are left out.")
    return " ".join(sentences)


def _smoothing(plots: Sequence[LearningPlot]) -> str:
    """What a point stands for."""
    windows = {plot.metric: plot.window for plot in plots}
    smoothed = {name: window for name, window in windows.items() if window > 1}
    if not smoothed:
        return "Every recorded value is a point; nothing is smoothed."
    texts = ", ".join(f"{window} samples for {metric_of(name).label}" for name, window in smoothed.items())
    rest = "" if len(smoothed) == len(windows) else "; the other series are not smoothed"
    return f"Long series are smoothed: a point is the mean of consecutive samples ({texts}){rest}."

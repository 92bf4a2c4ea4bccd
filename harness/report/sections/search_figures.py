"""The figures of a search: its history, which parameters matter, its values over each parameter, all
parameters beside each other, and the Pareto front of several objectives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.report.inputs import ReportInput
from harness.report.labels import search_names
from harness.report.plots.front import (
    draw_effects,
    draw_front,
    effects_plots,
    front_plots,
    proven_front,
)
from harness.report.plots.history import draw_history, history
from harness.report.plots.importance import draw_importance, importances
from harness.report.plots.parallel import draw_parallel, parallel
from harness.report.plots.slices import draw_slice, slices
from harness.report.sections.figures import FigureView, figure_of
from harness.report.shrinkage import shrinkages
from harness.search.findings import SearchFindings
from harness.search.importance import FEW_POINTS
from harness.study.proof_study import BEGIN
from harness.wording import count, n_text


@dataclass(frozen=True, kw_only=True)
class SearchFiguresView:
    """`missing` says which figures cannot be drawn, and why."""

    figures: tuple[FigureView, ...]
    missing: tuple[str, ...]


def search_figures_view(report: ReportInput) -> SearchFiguresView | None:
    """None for a study that proves no search."""
    search = report.search
    if search is None:
        return None
    figures = [
        _history(report, search),
        _importance(report, search),
        _slices(report, search),
        _parallel(report, search),
        *_fronts(report, search),
    ]
    links = {report.anchor("points"): "all points"}
    missing = []
    if figures[1] is None and len(search.space.parameters) > 1:
        missing.append("Which parameters matter cannot be said: no point is better than the others.")
    return SearchFiguresView(
        figures=tuple(replace(figure, links=links) for figure in figures if figure is not None),
        missing=tuple(missing),
    )


def _history(report: ReportInput, search: SearchFindings) -> FigureView | None:
    plots = [plot for one in search.objectives if (plot := history(search, one)) is not None]
    without = max((plot.left_out for plot in plots), default=0)
    return figure_of(
        report.anchor("figure-search-history"),
        f"{_objectives(search)} of the points in the order in which they were asked",
        "A mark is one point; its value is the median over the seeds of the search. The dashed line is the "
        "expected best of fewer points drawn from these without replacement: what a smaller search would "
        "have found on average. While it still falls or rises at its end, more points would help."
        f"{n_text((len(plot.points) for plot in plots), 'point')}",
        plots,
        lambda plot: (draw_history(plot), plot.objective.label),
        left_out=(*_without_value(without), *_notes(plot.notes for plot in plots)),
    )


def _importance(report: ReportInput, search: SearchFindings) -> FigureView | None:
    names = search_names(report.loaded, search.space)
    plots = [plot for one in search.objectives if (plot := importances(search, one, names)) is not None]
    few = tuple(
        f"Only {count(plot.points, 'point')} could be compared. With fewer than {FEW_POINTS} the best "
        "quarter has fewer than five points, so these shares may be chance."
        for plot in plots[:1]
        if plot.points < FEW_POINTS
    )
    return figure_of(
        report.anchor("figure-search-importance"),
        "Which parameters matter",
        "The share of each parameter in what sets the best quarter of the points apart from all of them "
        "(PED-ANOVA). A parameter with a small share made little difference in the ranges of this search. "
        "Points that diverged are among the worst; points without a value are left out.",
        plots,
        lambda plot: (draw_importance(plot), plot.objective.label),
        left_out=few,
    )


def _slices(report: ReportInput, search: SearchFindings) -> FigureView | None:
    names = search_names(report.loaded, search.space)
    plots = [plot for one in search.objectives for plot in slices(search, one, names)]
    some = (
        " Some parameters exist only at some points; their panels have only these."
        if any(plot.left_out for plot in plots)
        else ""
    )
    return figure_of(
        report.anchor("figure-search-slices"),
        f"{_objectives(search)} over each parameter",
        "One mark per point. All parameters change together, so the scatter within a panel is due to the "
        f"others. An axis shows the whole range of the space.{some}",
        plots,
        lambda plot: (
            draw_slice(plot, alone=len(plots) == 1),
            f"{plot.objective.label} over {plot.axis}",
        ),
        left_out=_notes(plot.notes for plot in plots),
    )


def _parallel(report: ReportInput, search: SearchFindings) -> FigureView | None:
    info = parallel(search, search_names(report.loaded, search.space))
    highlighted = "the best quarter" if len(search.objectives) == 1 else "the Pareto front"
    left_out = info.left_out if info is not None else 0
    view = figure_of(
        report.anchor("figure-search-parallel"),
        "All parameters of each point",
        f"A line is one point. Blue lines are {highlighted}, orange ones were proven, and the dashed line is "
        "the arm with which the search began. Values beyond an end of an objective's axis lie at this end."
        f"{'' if info is None else n_text([len(info.lines)], 'point')}",
        [] if info is None else [info],
        lambda one: (draw_parallel(one), "all points"),
        left_out=(f"The last {count(left_out, 'parameter')} of the space are not drawn.",)
        if left_out
        else (),
    )
    return None if view is None else replace(view, wide=True)


def _fronts(report: ReportInput, search: SearchFindings) -> list[FigureView | None]:
    if len(search.objectives) == 1:
        return []
    shrunk = shrinkages(search, report.loaded, report.analysis.contrasts)
    plots, proven = front_plots(search), effects_plots(shrunk)
    ranked, pairs = proven_front(shrunk, BEGIN), [one.proof.n for one in shrunk if one.proof is not None]
    beaten = {} if ranked is None else ranked.dominated
    said = "; ".join(f"{level} is dominated by {', '.join(by)}" for level, by in beaten.items())
    verdict = "" if ranked is None else f" By these intervals, {said or 'none of them dominates another'}."
    return [
        figure_of(
            report.anchor("figure-search-front"),
            f"{_objectives(search)} of each point: the Pareto front",
            "No point is at least as good as a point of the Pareto front in all objectives and better in "
            "one, by the medians over the seeds of the search. Part of it is luck: see the next figure."
            f"{n_text((len(plot.points) for plot in plots), 'point')}",
            plots,
            lambda plot: (draw_front(plot), f"{plot.up.label} and {plot.along.label}"),
            left_out=(
                *_without_value(sum(plot.left_out for plot in plots)),
                *_notes(plot.notes for plot in plots),
            ),
        ),
        figure_of(
            report.anchor("figure-search-proven"),
            f"{_objectives(search)} of the proven points on fresh seeds",
            "Effects against the arm with which the search began, with their intervals in both directions. A "
            f"point without a bar has an unbounded interval.{n_text(pairs, 'pair')}{verdict}",
            proven,
            lambda plot: (draw_effects(plot), f"{plot.up.label} and {plot.along.label}"),
            left_out=tuple(
                f"{count(plot.left_out, 'proven point')} without a valid effect cannot be drawn."
                for plot in proven[:1]
                if plot.left_out
            ),
        ),
    ]


def _objectives(search: SearchFindings) -> str:
    return " and ".join(objective.label for objective in search.objectives)


def _without_value(number: int) -> tuple[str, ...]:
    if not number:
        return ()
    verb = "has" if number == 1 else "have"
    return (f"{count(number, 'point')} {verb} no value and cannot be drawn.",)


def _notes(by_plot: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Every note once."""
    return tuple(dict.fromkeys(note for notes in by_plot for note in notes))

"""Utilisation, power, energy and memory over the time of the trials, and memory by category."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.report.inputs import ReportInput
from harness.report.plots.categories import category_plots, draw_categories
from harness.report.plots.resources import QUANTITIES, ResourcePlot, draw_resources, resource_plots
from harness.report.plots.style import MOST_LINES
from harness.report.sections.figures import FigureView, figure_of


@dataclass(frozen=True, kw_only=True)
class ResourcesView:
    """`missing` says what was not recorded, and why if that is known."""

    figures: tuple[FigureView, ...]
    missing: tuple[str, ...]


def resources_view(report: ReportInput) -> ResourcesView | None:
    """None if nothing was measured."""
    if report.samples.measured.empty:
        return None
    plots = resource_plots(report)
    links = {report.anchor("samples"): "all trials"}
    return ResourcesView(
        figures=tuple(
            replace(figure, links=links)
            for figure in (_over_time(report, plots), _categories(report))
            if figure is not None
        ),
        missing=tuple(_missing(report, plots)),
    )


def _over_time(report: ReportInput, plots: Sequence[ResourcePlot]) -> FigureView | None:
    left_out = len(report.loaded.arms) - MOST_LINES
    return figure_of(
        report.anchor("figure-resources"),
        "Load, memory, power and energy over the time of a trial",
        "The time is divided into parts of equal length. For each part, a line shows the median over the "
        "measured trials of an arm under all conditions, and a band the lowest and the highest trial. "
        "Parts in which fewer than half of the trials have a value are left out.",
        plots,
        lambda plot: (draw_resources(plot), plot.quantity.title),
        left_out=(f"The last {left_out} arms are not drawn.",) if left_out > 0 else (),
    )


def _categories(report: ReportInput) -> FigureView | None:
    return figure_of(
        report.anchor("figure-categories"),
        "Memory by category",
        "Each part of a bar is the median over the trials of an arm of the category's own peak during an "
        "update. The categories have their peaks at different moments, so a bar is longer than the peak of "
        "an update, which a line marks.",
        category_plots(report),
        lambda plot: (draw_categories(plot), plot.where or "all trials"),
        left_out=(),
    )


def _missing(report: ReportInput, plots: Sequence[ResourcePlot]) -> Iterator[str]:
    drawn = {plot.quantity.title for plot in plots}
    titles = [quantity.title for quantity in QUANTITIES if quantity.title not in drawn]
    of_gpu = [title for title in titles if title.startswith("GPU")]
    others = [title for title in titles if not title.startswith("GPU")]
    if of_gpu:
        reason = f" ({report.nvml_reason})" if report.nvml_reason else ""
        yield f"There is no telemetry of {', '.join(of_gpu)}{reason}."
    if others:
        yield f"There is no telemetry of {', '.join(others)}."

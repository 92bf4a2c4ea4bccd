"""The figures, each with its caption and the way to its raw samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from markupsafe import Markup
from matplotlib.figure import Figure as Drawing

from harness.report.inputs import ReportInput
from harness.report.labels import condition_title, metric_of
from harness.report.plots.curve import CurvePlot, draw_curves, level_curves, tuning_curves
from harness.report.plots.drift import draw_drift, drift
from harness.report.plots.forest import draw_forest, forests
from harness.report.plots.formula import draw_formula, formula_plots
from harness.report.plots.ratio import draw_ratios, numeric_factors, ratio_plots
from harness.report.plots.spread import draw_spread, spreads
from harness.report.plots.style import MOST_LINES
from harness.report.plots.svg import inline_svg
from harness.report.plots.width import draw_widths, width_plots
from harness.report.sections.base import Section
from harness.report.sections.samples import condition_anchors

MOST_PANELS = 12
"""Panels of one figure that are drawn; the tables have them all."""

Info = TypeVar("Info")


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """`panels` are SVG elements, `left_out` says in words what is not drawn, `links` are anchor → title in
    this page.
    """

    anchor: str
    title: str
    caption: str
    panels: tuple[Markup, ...]
    left_out: tuple[str, ...]
    links: dict[str, str]


def figures_view(report: ReportInput) -> tuple[FigureView, ...]:
    found = [
        _effect(report),
        _widths(report),
        *_curves(report),
        _spread(report),
        *_formulas(report),
        _drift(report),
    ]
    links = condition_anchors(report)
    if len(links) > MOST_PANELS:
        links = {report.anchor("samples"): "all conditions"}
    return tuple(replace(figure, links=links) for figure in found if figure is not None)


def _effect(report: ReportInput) -> FigureView | None:
    """Lines over a numeric condition; a row an arm where there is none, or too many arms to tell lines apart."""
    record = metric_of(report.loaded.study.primary)
    label = record.label
    by_ratios = record.compared_by == "ratios"
    what = (
        "differences of the corpus scores, bars 95 % bootstrap intervals"
        if record.paired_over == "sentences"
        else "Hodges-Lehmann estimates, bars 95 % signed-rank intervals"
    )
    intervals = f"Points are {what}, unadjusted; a point without a bar has none that is bounded."
    if by_ratios and numeric_factors(report.loaded) and len(report.loaded.arms) <= MOST_LINES:
        plots = [plot for plot in ratio_plots(report) if not plot.points.empty]
        over = ", ".join(dict.fromkeys(plot.factor for plot in plots))
        claimed = (
            " A grey band is the region in which a claimed ratio counts as met."
            if any(p.claims for p in plots)
            else ""
        )
        return _figure(
            report.anchor("figure-effect"),
            f"{label} against the baseline, over {over}",
            intervals + claimed,
            plots,
            lambda plot: (
                draw_ratios(plot, report.loaded),
                condition_title(plot.others) if plot.others else f"over {plot.factor}",
            ),
            left_out=_not_finite(sum(plot.left_out for plot in plots), "ratio"),
        )
    rows = forests(report)
    return _figure(
        report.anchor("figure-effect"),
        f"{label} against the baseline",
        intervals,
        rows,
        lambda forest: (draw_forest(forest), condition_title(forest.condition)),
        left_out=_not_finite(sum(forest.left_out for forest in rows), "ratio"),
    )


def _widths(report: ReportInput) -> FigureView | None:
    return _figure(
        report.anchor("figure-width"),
        "What a wider beam finds",
        "Greedy decoding is a beam of one; bars are 95 % intervals over resampled sentences of each arm alone. Where the model's "
        "score rises with the width and BLEU falls, the search is not at fault: it finds what the model prefers. Where the "
        "length ratio falls as well, what it prefers is shorter.",
        width_plots(report),
        lambda plot: (draw_widths(plot), plot.title),
        left_out=(),
    )


def _curves(report: ReportInput) -> list[FigureView | None]:
    dots = (
        "faint dots its trials. A line has a gap where the median is not finite: too many trainings diverged."
    )
    tried, levels = tuning_curves(report), level_curves(report)
    return [
        _curve(
            report.anchor("figure-curve", "tuning"),
            "as tuning tried it",
            "A point is the median over the seeds of tuning with one value (the best, where others were tuned with it), "
            f"{dots} A ring is what was chosen for the arm.",
            tried,
        ),
        _curve(
            report.anchor("figure-curve", "levels"),
            "as it was compared",
            f"A point is the median over all trials of one arm, {dots} Along a line the other factors keep their levels.",
            levels,
        ),
    ]


def _curve(name: str, how: str, caption: str, plots: Sequence[CurvePlot]) -> FigureView | None:
    if not plots:
        return None
    settings = ", ".join(dict.fromkeys(plot.setting for plot in plots))
    return _figure(
        name,
        f"{metric_of(plots[0].metric).label} over {settings}, {how}",
        caption,
        plots,
        lambda plot: (draw_curves(plot), plot.title),
        left_out=_not_finite(sum(plot.left_out for plot in plots), "trial"),
    )


def _spread(report: ReportInput) -> FigureView | None:
    found = spreads(report)
    return _figure(
        report.anchor("figure-spread"),
        f"{metric_of(report.loaded.study.primary).label}: every trial",
        "A dot is a trial, the line the median of the arm. Within a row the rounds run from top to bottom.",
        found,
        lambda spread: (draw_spread(spread), condition_title(spread.condition)),
        left_out=_not_finite(sum(spread.left_out for spread in found), "value"),
    )


def _formulas(report: ReportInput) -> list[FigureView | None]:
    plots = formula_plots(report)
    views = []
    for place, claim in enumerate(dict.fromkeys(plot.claim for plot in plots), start=1):
        chosen = [plot for plot in plots if plot.claim == claim]
        measured = metric_of(chosen[0].metric).label
        views.append(
            _figure(
                report.anchor("figure-formula", place),
                f"{measured} against its formula ({claim})",
                "Dots are measured values of all rounds, the line is the closed form; they should coincide exactly.",
                chosen,
                lambda plot: (draw_formula(plot), plot.title or "all arms"),
                left_out=_not_finite(sum(plot.left_out for plot in chosen), "trial"),
            )
        )
    return views


def _drift(report: ReportInput) -> FigureView | None:
    info = drift(report)
    return _figure(
        report.anchor("figure-drift"),
        f"{metric_of(report.loaded.study.primary).label} in the order of running",
        "Each trial divided by the median of its own arm, condition and seed. A machine that slows down or speeds up "
        "bends the line of round medians; pairing within rounds takes that out of the ratios.",
        [] if info is None else [info],
        lambda one: (draw_drift(one, report), "all arms and conditions"),
        left_out=_not_finite(0 if info is None else info.left_out, "value"),
    )


def _figure(
    name: str,
    title: str,
    caption: str,
    infos: Sequence[Info],
    draw: Callable[[Info], tuple[Drawing, str]],
    *,
    left_out: tuple[str, ...],
) -> FigureView | None:
    if not infos:
        return None
    panels = []
    for place, info in enumerate(infos[:MOST_PANELS], start=1):
        drawing, what = draw(info)
        panels.append(
            inline_svg(drawing, name=f"{name}-{place}", title=f"{title}: {what}", description=caption)
        )
    if len(infos) > MOST_PANELS:
        left_out = (
            *left_out,
            f"The first {MOST_PANELS} of {len(infos)} panels are drawn; the tables have them all.",
        )
    return FigureView(
        anchor=name,
        title=title,
        caption=caption,
        panels=tuple(panels),
        left_out=left_out,
        links={},
    )


def _not_finite(count: int, noun: str) -> tuple[str, ...]:
    if not count:
        return ()
    return (
        f"{count} {noun}{'s are' if count > 1 else ' is'} not finite and cannot be drawn; see the raw samples.",
    )


SECTION = Section(id="figures", title="Figures", view=figures_view)

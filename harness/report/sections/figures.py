"""The figures, each with its caption and links to its raw samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from markupsafe import Markup
from matplotlib.figure import Figure as Drawing

from harness.report.inputs import ReportInput
from harness.report.labels import metric_of
from harness.report.plots.curve import CurvePlot, draw_curves, level_curves, tuning_curves
from harness.report.plots.dots import thinned_note
from harness.report.plots.drift import draw_drift, drift
from harness.report.plots.forest import draw_forest, forests
from harness.report.plots.formula import draw_formula, formula_plots
from harness.report.plots.heat_map import draw_heat_map, heat_maps
from harness.report.plots.ratio import draw_ratios, numeric_factors, ratio_plots
from harness.report.plots.spread import draw_spread, spreads
from harness.report.plots.style import MOST_LINES
from harness.report.plots.svg import inline_svg
from harness.report.plots.width import draw_widths, width_plots
from harness.report.sections.samples import condition_anchors
from harness.wording import count, n_text

MOST_PANELS = 12
"""The largest number of panels that one figure draws. The tables show all data."""

Info = TypeVar("Info")


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """`panels` are SVG elements. `left_out` says which data are not drawn. `links` maps anchors of this page
    to their titles. The panel of a `wide` figure needs the width of the page.
    """

    anchor: str
    title: str
    caption: str
    panels: tuple[Markup, ...]
    left_out: tuple[str, ...]
    links: dict[str, str]
    wide: bool = False
    drawings: Callable[[], tuple[Drawing, ...]] = field(default=tuple, compare=False, repr=False)
    """Draws the panels again, for whoever wants to change them."""

    @property
    def shape(self) -> str:
        """The class of the figure in the style sheet."""
        return "wide" if self.wide else "one" if len(self.panels) == 1 else "many"


def figures_view(report: ReportInput) -> tuple[FigureView, ...]:
    figures = [
        _effect(report),
        _widths(report),
        *_curves(report),
        _heat(report),
        _spread(report),
        *_formulas(report),
        _drift(report),
    ]
    links = condition_anchors(report)
    if len(links) > MOST_PANELS:
        links = {report.anchor("samples"): "all conditions"}
    return tuple(replace(figure, links=links) for figure in figures if figure is not None)


def _effect(report: ReportInput) -> FigureView | None:
    """Lines over a numeric condition, or one row per arm if there is no such condition or there are too many
    arms.
    """
    record = metric_of(report.loaded.study.primary)
    label = record.label
    by_ratios = record.compared_by == "ratios"
    estimate, interval = "Hodges-Lehmann estimates", "signed-rank"
    if record.paired_over == "sentences":
        one = report.loaded.study.design.seeds == 1
        estimate = "differences of the corpus scores"
        interval = "bootstrap" if one else "variance-component"
    intervals = (
        f"Points are {estimate}; bars are {interval} intervals at the level of the verdict, which is "
        "95 % unless several contrasts share a family. A point without a bar has an unbounded interval."
        f"{_pairs(report)}"
    )
    if by_ratios and numeric_factors(report.loaded) and len(report.loaded.arms) <= MOST_LINES:
        plots = [plot for plot in ratio_plots(report) if not plot.points.empty]
        over = ", ".join(dict.fromkeys(report.loaded.names.factor(plot.factor) for plot in plots))
        claimed = (
            " A grey band is the region that confirms a claimed ratio."
            if any(p.claims for p in plots)
            else ""
        )
        return figure_of(
            report.anchor("figure-effect"),
            f"{label} compared with the baseline, over {over}",
            intervals + claimed,
            plots,
            lambda plot: (
                draw_ratios(plot, report.loaded),
                plot.where or f"over {plot.axis}",
            ),
            left_out=not_finite(sum(plot.left_out for plot in plots), "ratio"),
        )
    rows = forests(report)
    return figure_of(
        report.anchor("figure-effect"),
        f"{label} compared with the baseline",
        intervals,
        rows,
        lambda forest: (draw_forest(forest), forest.where),
        left_out=not_finite(sum(forest.left_out for forest in rows), "ratio"),
    )


def _pairs(report: ReportInput) -> str:
    """How many pairs the effects rest on."""
    primary = report.loaded.study.primary
    return n_text((c.n for c in report.analysis.contrasts if c.metric == primary), "pair")


def _widths(report: ReportInput) -> FigureView | None:
    plots = width_plots(report)
    return figure_of(
        report.anchor("figure-width"),
        "Effect of the beam width",
        "Greedy decoding is a beam of width 1. Bars are 95 % bootstrap intervals for each arm alone. If the "
        "model's score rises with the width but BLEU falls, the search works and the model prefers worse "
        "texts. If the length ratio falls too, the model prefers shorter texts."
        f"{n_text((plot.texts for plot in plots), 'text')}",
        plots,
        lambda plot: (draw_widths(plot), plot.title),
        left_out=(),
    )


def _curves(report: ReportInput) -> list[FigureView | None]:
    dots = (
        "Faint dots are single trials. A line has a gap if the median is not finite because too many "
        "trainings diverged."
    )
    tried, levels = tuning_curves(report), level_curves(report)
    return [
        _curve(
            report.anchor("figure-curve", "tuning"),
            "values tried in tuning",
            "A point is the median over the seeds of tuning for one value; if other settings were tuned as "
            f"well, it has the best of them. {dots} A ring marks the value that was chosen for the arm.",
            tried,
        ),
        _curve(
            report.anchor("figure-curve", "levels"),
            "levels that were compared",
            f"A point is the median over all trials of one arm. {dots} Along a line, one factor changes.",
            levels,
        ),
    ]


def _heat(report: ReportInput) -> FigureView | None:
    plots = heat_maps(report)
    return figure_of(
        report.anchor("figure-heat"),
        f"{metric_of(report.loaded.study.primary).label} at every combination of levels",
        "A cell shows the median over the trials of an arm and their number n. Darker is a larger value.",
        plots,
        lambda plot: (draw_heat_map(plot), plot.where or "all trials"),
        left_out=not_finite(sum(plot.left_out for plot in plots), "trial"),
    )


def _curve(name: str, how: str, caption: str, plots: Sequence[CurvePlot]) -> FigureView | None:
    if not plots:
        return None
    settings = ", ".join(dict.fromkeys(plot.axis for plot in plots))
    numbers = (number for plot in plots for line in plot.lines for number in line.trials_at.values())
    return figure_of(
        name,
        f"{metric_of(plots[0].metric).label} over {settings}: {how}",
        f"{caption}{n_text(numbers, 'finite value').removesuffix('.')} at each point.",
        plots,
        lambda plot: (draw_curves(plot), plot.title),
        left_out=not_finite(sum(plot.left_out for plot in plots), "trial"),
    )


def _spread(report: ReportInput) -> FigureView | None:
    plots = spreads(report)
    return figure_of(
        report.anchor("figure-spread"),
        f"{metric_of(report.loaded.study.primary).label}: every trial",
        "Dots are trials; the thick line is the median of the arm. Within a row, rounds run from top to "
        "bottom. Thin lines join the trials of one round and seed, which are compared with each other, "
        "unless there are very many.",
        plots,
        lambda spread: (draw_spread(spread), spread.where),
        left_out=(
            *not_finite(sum(spread.left_out for spread in plots), "value"),
            *thinned_note([spread.points for spread in plots]),
        ),
    )


def _formulas(report: ReportInput) -> list[FigureView | None]:
    plots = formula_plots(report)
    views = []
    for number, claim in enumerate(dict.fromkeys(plot.claim for plot in plots), start=1):
        chosen = [plot for plot in plots if plot.claim == claim]
        measured = metric_of(chosen[0].metric).label
        views.append(
            figure_of(
                report.anchor("figure-formula", number),
                f"{measured} against its formula ({claim})",
                "Dots are the measured values of all rounds; equal values are one dot. A line is the "
                "formula, also between the measured conditions; where it can only be computed in a trial, "
                "dashes mark its values.",
                chosen,
                lambda plot: (draw_formula(plot), plot.title or "all arms"),
                left_out=(
                    *not_finite(sum(plot.left_out for plot in chosen), "trial"),
                    *thinned_note([plot.points.drop_duplicates() for plot in chosen]),
                ),
            )
        )
    return views


def _drift(report: ReportInput) -> FigureView | None:
    info = drift(report)
    return figure_of(
        report.anchor("figure-drift"),
        f"{metric_of(report.loaded.study.primary).label} in the order in which the trials ran",
        "Each value is divided by the median of its arm, condition and seed. If the machine "
        "becomes slower or faster, the line of the round medians bends. Pairing within rounds removes this "
        f"from the effects.{'' if info is None else n_text([len(info.points)], 'value')}",
        [] if info is None else [info],
        lambda one: (draw_drift(one, report), "all arms and conditions"),
        left_out=() if info is None else (*not_finite(info.left_out, "value"), *thinned_note([info.points])),
    )


def figure_of(
    name: str,
    title: str,
    caption: str,
    infos: Sequence[Info],
    draw: Callable[[Info], tuple[Drawing, str]],
    *,
    left_out: tuple[str, ...],
) -> FigureView | None:
    """A figure with one panel per `infos`. `draw` gives the drawing and its title. None without `infos`."""
    if not infos:
        return None
    panels = []
    for number, info in enumerate(infos[:MOST_PANELS], start=1):
        drawing, subtitle = draw(info)
        panels.append(
            inline_svg(drawing, name=f"{name}-{number}", title=f"{title}: {subtitle}", description=caption)
        )
    if len(infos) > MOST_PANELS:
        left_out = (
            *left_out,
            f"Only the first {MOST_PANELS} of {len(infos)} panels are drawn. The tables show all data.",
        )
    return FigureView(
        anchor=name,
        title=title,
        caption=caption,
        panels=tuple(panels),
        left_out=left_out,
        links={},
        drawings=lambda: tuple(draw(info)[0] for info in infos[:MOST_PANELS]),
    )


def not_finite(number: int, noun: str) -> tuple[str, ...]:
    if not number:
        return ()
    verb = "is" if number == 1 else "are"
    return (f"{count(number, noun)} {verb} not finite and cannot be drawn; see the raw samples.",)

"""Several objectives: all points by their medians, and the proven ones by their effects."""

from __future__ import annotations

import math

import pytest

from harness.report.inputs import ReportInput
from harness.report.plots.front import draw_effects, draw_front, effects_plots, front_plots, proven_front
from harness.report.shrinkage import Shrinkage, shrinkages
from tests.support.made_up_search import LR, made_up_search, report_of_search

LOSS, SPEED, BLEU = "validation_loss", "training_tokens_per_second", "bleu"
VALUES = [(4.0, 100.0, 20.0), (3.0, 90.0, 21.0), (5.0, 150.0, 19.0), (6.0, 80.0, math.inf)]


def report_of(*names: str, **effects: tuple[float, float, float] | None) -> ReportInput:
    order, values = (LOSS, SPEED, BLEU), iter(VALUES)

    def value(_: object) -> list[float]:
        row = dict(zip(order, next(values), strict=True))
        return [row[name] for name in names]

    return report_of_search(made_up_search(LR, value, objectives=names, points=len(VALUES)), **effects)


def shrunk(report: ReportInput) -> tuple[Shrinkage, ...]:
    assert report.search is not None
    return shrinkages(report.search, report.loaded, report.analysis.contrasts)


def test_there_is_a_plot_for_each_pair_of_objectives() -> None:
    report = report_of(LOSS, SPEED, BLEU)
    assert report.search is not None
    plots = front_plots(report.search)
    assert [(plot.up.name, plot.along.name) for plot in plots] == [(LOSS, SPEED), (LOSS, BLEU), (SPEED, BLEU)]
    assert [(one.x, one.y, one.role) for one in plots[0].points[:3]] == [
        (100.0, 4.0, "began"),
        (90.0, 3.0, "proven"),
        (150.0, 5.0, "proven"),
    ]
    (axes,) = draw_front(plots[0]).axes
    assert axes.get_ylabel() == "validation loss (nats/token)\nlower is better"


def test_effects_have_intervals_in_both_directions() -> None:
    report = report_of(LOSS, BLEU, **{LOSS: (0.9, 0.8, 0.95), BLEU: (1.5, -0.5, 3.0)})
    (plot,) = effects_plots(shrunk(report))
    assert {
        level: [(value, ends.low, ends.high) for value, ends in both] for level, both in plot.effects.items()
    } == {"best_1": [(1.5, -0.5, 3.0), (0.9, 0.8, 0.95)]}
    (axes,) = draw_effects(plot).axes
    assert axes.get_yscale() == "log"
    assert axes.get_xscale() == "linear"
    assert axes.get_xlabel() == "BLEU, difference to where the search began\nhigher is better"
    bars = {tuple(line.get_xydata().ravel()) for line in axes.lines}  # type: ignore[union-attr]
    assert {(-0.5, 0.9, 3.0, 0.9), (1.5, 0.8, 1.5, 0.95)} <= bars


def test_an_unbounded_interval_has_no_bar_and_an_invalid_effect_no_point() -> None:
    report = report_of(LOSS, SPEED, **{LOSS: (0.9, 0.0, math.inf), SPEED: (1.2, 1.1, 1.3)})
    (plot,) = effects_plots(shrunk(report))
    (axes,) = draw_effects(plot).axes
    assert (1.2, 0.0, 1.2, math.inf) not in {tuple(line.get_xydata().ravel()) for line in axes.lines}  # type: ignore[union-attr]
    assert effects_plots(shrunk(report_of(LOSS, SPEED, **{LOSS: None, SPEED: (1.2, 1.1, 1.3)}))) == []


@pytest.mark.parametrize(
    ("loss", "dominated"),
    [
        ((0.9, 0.8, 0.95), {"baseline": ("best_1", "best_2")}),
        ((0.9, 0.8, 1.05), {}),
        ((1.1, 1.05, 1.2), {}),
    ],
)
def test_a_point_dominates_only_beyond_its_intervals(
    loss: tuple[float, float, float], dominated: dict[str, tuple[str, ...]]
) -> None:
    report = report_of(LOSS, SPEED, **{LOSS: loss, SPEED: (1.2, 1.1, 1.3)})
    ranked = proven_front(shrunk(report), "baseline")
    assert ranked is not None
    assert ranked.dominated == dominated


def test_there_is_no_front_of_proven_points_without_all_of_their_effects() -> None:
    report = report_of(LOSS, SPEED, **{LOSS: None, SPEED: (1.2, 1.1, 1.3)})
    assert proven_front(shrunk(report), "baseline") is None

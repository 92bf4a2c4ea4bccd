"""Learning curves: means, intervals and axes of planted series, and what is drawn of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.report.inputs import ReportInput
from harness.report.plots.learning import draw_learning, learning_plots
from harness.report.plots.svg import inline_svg
from harness.report.sections.curves import curves_view
from harness.report.series import Recorded, Series, TrialSeries
from tests.report.synthetic import study, synthetic_report, trial_row

UPDATES = np.array([10.0, 20.0, 30.0])


def planted(values: Mapping[tuple[str, int], list[float]], **changes: Any) -> ReportInput:
    """A report with these losses by arm and seed, one training each. An update has 32 tokens and takes half a
    second.
    """
    declared = study(across={}, claims={}, design={"rounds": 1})
    rows, losses, seconds = [], [], {}
    for number, ((arm, seed), losses_here) in enumerate(values.items(), start=1):
        spent = {"updates": 30.0, "training_tokens": 960.0}
        rows.append(trial_row(number, task="train", arm=f"cache={arm}", seed=seed, spent=spent))
        updates = UPDATES[: len(losses_here)]
        losses.append(TrialSeries(trial=number, updates=updates, values=np.array(losses_here)))
        seconds[number] = TrialSeries(trial=number, updates=updates, values=updates / 2)
    series = Series(metric="loss", trials=tuple(losses), **{"window": 1, "seeds_left_out": 0} | changes)
    recorded = Recorded(series=(series,), seconds=seconds)
    return replace(synthetic_report(declared, steps=1), trials=tuple(rows), recorded=recorded)


BOTH = {("none", 0): [6.0, 4.0, 3.0], ("none", 1): [8.0, 6.0, 3.0], ("static", 0): [5.0, 2.0, 1.0]}


def test_the_mean_of_the_seeds_has_the_interval_of_students_t() -> None:
    (plot,) = learning_plots(planted(BOTH), "updates")
    none, static = plot.lines
    assert [(line.label, line.n) for line in plot.lines] == [("none", 2), ("static", 1)]
    assert [(point.x, point.mean) for point in none.mean] == [(10, 7), (20, 5), (30, 3)]
    half = 12.7062047 * math.sqrt(2) / math.sqrt(2)  # t with 1 degree of freedom × SD ÷ √n
    assert (none.mean[0].low, none.mean[0].high) == pytest.approx((7 - half, 7 + half))
    assert none.seeds[1] == ((10, 8), (20, 6), (30, 3))
    assert all(math.isnan(point.low) for point in static.mean)


def test_a_mean_ends_where_the_first_seed_ends() -> None:
    (plot,) = learning_plots(planted(BOTH | {("none", 1): [8.0]}), "updates")
    assert [point.x for point in plot.lines[0].mean] == [10]
    assert len(plot.lines[0].seeds[0]) == 3


def test_axes_are_tokens_and_seconds_but_not_what_nobody_counted() -> None:
    report = planted(BOTH)
    tokens, seconds = (learning_plots(report, along)[0].lines[0].mean for along in ("tokens", "seconds"))
    assert [point.x for point in tokens] == [320, 640, 960]
    assert [point.x for point in seconds] == [5, 10, 15]
    assert learning_plots(report, "FLOPs") == []


def test_rounds_of_a_seed_are_one_seed() -> None:
    report = planted(BOTH)
    first, second, third = report.trials
    report = replace(report, trials=(first, replace(second, seed=0, round=2), third))
    (plot,) = learning_plots(report, "updates")
    assert plot.lines[0].n == 1
    assert [point.mean for point in plot.lines[0].mean] == [7, 5, 3]


def test_values_that_are_not_finite_are_counted_and_constant_series_left_out() -> None:
    (plot,) = learning_plots(planted(BOTH | {("static", 0): [5.0, math.nan, math.inf]}), "updates")
    assert plot.left_out == 2
    assert learning_plots(planted({("none", 0): [0.0, 0.0, 0.0]}), "updates") == []


def test_every_seed_is_a_line_with_a_text_and_the_axis_is_logarithmic_for_a_wide_span() -> None:
    (plot,) = learning_plots(planted(BOTH), "updates")
    figure = draw_learning(plot)
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "loss (nats/token)"
    assert [np.size(line.get_xdata()) for line in axes.lines] == [3, 3, 3, 3, 3]
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "cache"
    root = ElementTree.fromstring(inline_svg(figure, name="one", title="t", description="d"))
    tips = [title.text for title in root.iter("title")][1:]
    assert tips[0] == "none, seed 0: 3 nats/token at the end"
    assert tips[2] == "none, mean of 2 seeds: 3 nats/token (3 nats/token to 3 nats/token) at the end"
    assert len(tips) == 5
    narrow = planted({("none", 0): [3.0, 2.0, 2.5]})
    assert draw_learning(learning_plots(narrow, "updates")[0]).axes[0].get_yscale() == "linear"


def test_a_training_with_a_single_update_is_a_dot() -> None:
    (plot,) = learning_plots(planted({("none", 0): [3.0, 2.0, 1.0], ("static", 0): [2.5]}), "updates")
    axes = draw_learning(plot).axes[0]
    marks = [(np.size(line.get_xdata()), line.get_marker()) for line in axes.lines]
    assert marks == [(3, ""), (3, ""), (1, "o"), (1, "o")]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_many_arms_share_out_over_panels_with_the_baseline() -> None:
    levels = [f"arm{number}" for number in range(12)]
    declared = study(compare={"cache": levels}, across={}, claims={}, design={"rounds": 1})
    report = planted({(level, 0): [3.0, 2.0, 1.0] for level in levels})
    report = replace(report, loaded=synthetic_report(declared, steps=1).loaded)
    plots = learning_plots(report, "updates")
    assert [len(plot.lines) for plot in plots] == [8, 5]
    assert {plot.lines[0].label for plot in plots} == {"arm0"}


def test_the_section_states_its_interval_its_smoothing_and_its_limits() -> None:
    view = curves_view(planted(BOTH, window=13, seeds_left_out=2))
    assert view is not None
    assert [along for along, _ in view.figures] == ["updates", "tokens", "seconds"]
    caption = view.figures[0][1].caption
    assert "95 % interval (Student's t)" in caption
    assert "a point is the mean of consecutive samples (13 samples for loss)" in caption
    assert "the last 2 seeds of a series are left out" in caption
    assert curves_view(synthetic_report()) is None


def test_the_more_arms_there_are_the_fewer_seeds_of_each_have_a_line() -> None:
    levels = [f"arm{number}" for number in range(20)]
    declared = study(compare={"cache": levels}, across={}, claims={}, design={"rounds": 1})
    report = planted({(level, seed): [9.0 - seed, 2.0, 1.0] for level in levels for seed in range(10)})
    report = replace(report, loaded=synthetic_report(declared, steps=1).loaded)
    lines = [line for plot in learning_plots(report, "updates") for line in plot.lines]
    assert {(len(line.seeds), line.n) for line in lines} == {(3, 10)}
    assert {line.mean[0].mean for line in lines} == {4.5}
    view = curves_view(report)
    assert view is not None
    assert "Only the first 3 seeds of an arm have a line." in view.figures[0][1].caption


def test_the_axis_has_room_for_a_mean_of_seeds_that_have_no_line() -> None:
    """The last of twelve seeds stays high, and the first ten have a line."""
    report = planted({("none", seed): [5.0, 4.0, 5.0 if seed < 11 else 400.0] for seed in range(12)})
    (plot,) = learning_plots(report, "updates")
    low, high = draw_learning(plot).axes[0].get_ylim()
    assert low < 4.0
    assert high > plot.lines[0].mean[-1].mean > 30

"""Curves: medians over the values that were tried in tuning, and over the numeric levels of a compared
factor.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.report.build import render
from harness.report.inputs import ReportInput, ReportSamples
from harness.report.plots.curve import CurvePlot, draw_curves, level_curves, tuning_curves
from harness.report.plots.svg import inline_svg
from harness.store.rows import TrialRow
from harness.study.arms import conditions
from harness.study.loaded import Tried, TunedArm
from harness.study.planning.tuning import best
from tests.report.parsed import Page
from tests.report.synthetic import PRIMARY, frame_of, study, synthetic_report, trial_row

LOSS = "validation_loss"
STDS = ["0.02", "0.002", "0.2", "1.0", "2.0"]
CROSSED = {
    "compare": {"tying": ["tied", "untied"], "std": [{name: {"std": float(name)}} for name in STDS]},
    "across": {},
    "claims": {},
    "design": {"arms": "factorial", "rounds": 3, "exploratory": True},
}


def tuned_report(
    losses: dict[str, dict[float, list[float]]], across: Sequence[str] = (), **grid: object
) -> ReportInput:
    """A report whose arms were tuned with these rates under every condition. The last arm is no finalist."""
    tune = {"grid": {"optimizer.lr": [1e-3, 1e-2]} | grid, "by": LOSS, "seeds": 3}
    declared = study(
        compare={"optimizer": list(losses)},
        across={"corpus": list(across)} if across else {},
        claims={},
        design={"rounds": 2, "exploratory": True, "tune": tune},
    )
    report = synthetic_report(declared, steps=1)
    tuned = []
    for index, (name, by_rate) in enumerate(losses.items()):
        tried = [
            Tried(settings={"optimizer.lr": rate}, values=tuple(values)) for rate, values in by_rate.items()
        ]
        tuned += [
            TunedArm(
                arm=f"optimizer={name}",
                condition=condition.names,
                tried=tuple(tried),
                chosen=best(tried, LOSS),
                edges=(),
                measured=index < len(losses) - 1,
            )
            for condition in conditions(declared)
        ]
    loaded = replace(report.loaded, arms=report.loaded.arms[:-1], tuned=tuple(tuned))
    contrasts = tuple(contrast for contrast in report.analysis.contrasts if contrast.arm != tuned[-1].arm)
    return replace(report, loaded=loaded, analysis=replace(report.analysis, contrasts=contrasts))


def diverged(report: ReportInput, trial: int) -> TrialRow:
    frame = frame_of(report)
    row = frame[frame["trial"] == trial].iloc[0]
    return trial_row(
        trial,
        task="train",
        arm=row["arm"],
        round=int(row["round"]),
        state="diverged",
        notes={"diverged": True},
    )


def of_losses(report: ReportInput) -> ReportInput:
    """The metric of the trials is renamed to a loss."""
    frame = frame_of(report)
    renamed = frame.assign(metric=frame["metric"].replace({PRIMARY: LOSS}))
    declared = report.loaded.study.model_copy(update={"primary": LOSS})
    return replace(
        report, samples=ReportSamples.from_frame(renamed), loaded=replace(report.loaded, study=declared)
    )


def texts(plot: CurvePlot) -> list[str]:
    drawing = inline_svg(draw_curves(plot), name="one", title="t", description="d")
    return [element.text or "" for element in ElementTree.fromstring(drawing).iter("text")]


def test_a_tuned_arm_is_a_line_of_sorted_medians_with_its_choice() -> None:
    losses = {
        "adamw": {1e-2: [3.0, 9.0, 4.0], 1e-4: [7.0, 7.5, 6.0], 1e-3: [2.0, 1.0, 5.0]},
        "sgd": {0.3: [3.1, 3.2, 3.3], 0.03: [5.0, 5.0, 5.0]},
        "left-behind": {3e-4: [8.0, 8.1, 8.2], 1e-2: [6.0, 6.0, 6.1]},
    }
    [plot] = tuning_curves(tuned_report(losses))
    assert [(line.label, line.points, line.chosen) for line in plot.lines] == [
        ("adamw", ((1e-4, 7.0), (1e-3, 2.0), (1e-2, 4.0)), 1e-3),
        ("sgd", ((0.03, 5.0), (0.3, 3.2)), 0.3),
        ("left-behind", ((3e-4, 8.1), (1e-2, 6.0)), 1e-2),
    ]
    assert plot.lines[0].trials[:3] == ((1e-4, 7.0), (1e-4, 7.5), (1e-4, 6.0))
    assert (plot.metric, plot.setting, plot.log, plot.left_out) == (LOSS, "optimizer.lr", True, 0)
    assert [x for x, _ in plot.levels] == [1e-4, 3e-4, 1e-3, 1e-2, 0.03, 0.3]


def test_the_chosen_value_has_a_ring() -> None:
    [plot] = tuning_curves(tuned_report({"a": {1.0: [4.0], 3.0: [2.0], 9.0: [3.0]}, "b": {1.0: [5.0]}}))
    [axes] = draw_curves(plot).axes
    rings = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [
        (np.asarray(ring.get_xdata()).tolist(), np.asarray(ring.get_ydata()).tolist()) for ring in rings
    ] == [
        ([3.0], [2.0]),
        ([1.0], [5.0]),
    ]
    assert [line.get_color() for line in axes.lines if line.get_label() in ("a", "b")] == [
        ring.get_color() for ring in rings
    ]


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ([1e-4, 1e-3, 1e-2], "log"),
        ([1.0, 10.0], "linear"),
        ([1.0, 10.5], "log"),
        ([0.0, 20.0], "linear"),
    ],
)
def test_an_axis_of_tried_values_is_logarithmic_over_more_than_a_tenfold(
    values: list[float], axis: str
) -> None:
    [plot] = tuning_curves(tuned_report({"a": {x: [3.0 + x] for x in values}, "b": {values[0]: [4.0]}}))
    assert plot.log is (axis == "log")
    assert draw_curves(plot).axes[0].get_xscale() == axis


def test_a_median_that_diverged_is_a_gap_and_every_diverged_trial_is_counted() -> None:
    inf = math.inf
    losses = {"a": {1e-3: [3.0, 4.0, inf], 1e-2: [2.0, inf, inf], 1e-1: [5.0, 5.0, 5.0]}, "b": {1e-3: [inf]}}
    [plot] = tuning_curves(tuned_report(losses))
    points = dict(plot.lines[0].points)
    assert (points[1e-3], points[1e-1]) == (4.0, 5.0)
    assert math.isnan(points[1e-2])
    assert (1e-2, 2.0) in plot.lines[0].trials
    assert plot.left_out == 4
    assert all(math.isfinite(y) for line in plot.lines for _, y in line.trials)


def test_each_condition_of_tuning_has_a_plot() -> None:
    losses = {"a": {1e-3: [3.0], 1e-2: [2.0]}, "b": {1e-3: [4.0], 1e-2: [5.0]}}
    plots = tuning_curves(tuned_report(losses, across=["x", "y"]))
    assert [plot.title for plot in plots] == ["lr, corpus = x", "lr, corpus = y"]


def test_many_arms_are_drawn_in_panels_that_share_the_baseline() -> None:
    losses = {f"o{number}": {1e-3: [3.0, math.inf], 1e-2: [2.0]} for number in range(11)}
    plots = tuning_curves(tuned_report(losses))
    assert [[line.label for line in plot.lines] for plot in plots] == [
        ["o0", *(f"o{number}" for number in range(1, 8))],
        ["o0", "o8", "o9", "o10"],
    ]
    assert [plot.left_out for plot in plots] == [11, 0]
    assert {"o0", "o10"} <= set(texts(plots[1]))


def test_of_the_other_settings_of_a_grid_a_point_has_the_best() -> None:
    report = tuned_report({"a": {1e-3: [3.0], 1e-2: [2.0]}, "b": {1e-3: [4.0]}}, kind=["x", "y"])

    def with_kinds(arm: TunedArm) -> TunedArm:
        tried = tuple(
            Tried(settings={**one.settings, "kind": kind}, values=(one.values[0] + worse,))
            for one in arm.tried
            for kind, worse in (("x", 1.0), ("y", 0.0))
        )
        return replace(arm, tried=tried, chosen=best(tried, LOSS))

    tuned = tuple(with_kinds(arm) for arm in report.loaded.tuned)
    [plot] = tuning_curves(replace(report, loaded=replace(report.loaded, tuned=tuned)))
    assert plot.lines[0].points == ((1e-3, 3.0), (1e-2, 2.0))
    both = tuple(
        replace(
            arm,
            tried=tuple(
                replace(one, settings={**one.settings, "kind": 1 + index})
                for index, one in enumerate(arm.tried)
            ),
        )
        for arm in tuned
    )
    assert tuning_curves(replace(report, loaded=replace(report.loaded, tuned=both))) == []


def test_nothing_is_drawn_of_a_tuning_by_name_or_of_one_that_goes_on() -> None:
    report = tuned_report({"a": {1e-3: [3.0]}, "b": {1e-3: [4.0]}})
    named = tuple(
        replace(arm, tried=tuple(replace(one, settings={"kind": "x"}) for one in arm.tried))
        for arm in report.loaded.tuned
    )
    for tuned in ((), named):
        assert tuning_curves(replace(report, loaded=replace(report.loaded, tuned=tuned))) == []


def test_numeric_levels_are_sorted_and_each_other_level_is_a_line_of_medians() -> None:
    report = synthetic_report(study(**CROSSED), steps=1)
    [plot] = level_curves(report)
    values = report.values[report.values["metric"] == PRIMARY]
    measured = {str(arm): part["value"].tolist() for arm, part in values.groupby("arm")}
    assert [line.label for line in plot.lines] == ["tied", "untied"]
    names = sorted(STDS, key=float)
    assert [name for _, name in plot.levels] == names
    for line in plot.lines:
        expected = [(float(name), median(measured[f"std={name}, tying={line.label}"])) for name in names]
        assert list(line.points) == expected
        assert len(line.trials) == 15
        assert line.chosen is None
    assert (plot.setting, plot.log, plot.left_out) == ("std", True, 0)
    assert {"std", "tied", "untied", *STDS} <= set(texts(plot))


def test_a_diverged_training_is_counted_once_and_is_the_worst_of_the_trials() -> None:
    report = of_losses(synthetic_report(study(**CROSSED), steps=1))
    arm = "std=0.2, tying=untied"
    frame = frame_of(report)
    mine = frame[(frame["arm"] == arm) & (frame["metric"] == LOSS)]
    trials = dict(zip(mine["trial"].tolist(), mine["value"].tolist(), strict=True))
    first, *others = trials
    [plot] = level_curves(replace(report, trials=(diverged(report, first),)))
    assert plot.left_out == 1
    assert dict(plot.lines[1].points)[0.2] == max(trials[trial] for trial in others)
    silent = frame[frame["trial"] != others[0]]  # it diverged before anything was evaluated
    again = replace(
        report,
        samples=ReportSamples.from_frame(silent),
        trials=tuple(diverged(report, trial) for trial in trials),
    )
    [plot] = level_curves(again)
    assert plot.left_out == 3
    assert math.isnan(dict(plot.lines[1].points)[0.2])
    assert [x for x, _ in plot.lines[1].trials].count(0.2) == 0
    assert (
        "3 trials are not finite and cannot be drawn" in Page(render(again)).by_id("figure-curve-levels").text
    )


SEVERAL = {
    "compare": {"lr": [2e-3, 5e-4, 8e-3], "warmup": [20, 0, 80], "kind": ["a", "b", "c"], "clip": [1.0, 2.0]},
    "across": {},
    "claims": {},
    "design": {"rounds": 2, "exploratory": True},
}


def test_factors_that_change_one_at_a_time_have_a_panel_each_through_the_default() -> None:
    report = synthetic_report(study(**SEVERAL), steps=1)
    lr, warmup = level_curves(report)
    assert [plot.setting for plot in (lr, warmup)] == ["lr", "warmup"]
    assert [x for x, _ in lr.lines[0].points] == [5e-4, 2e-3, 8e-3]
    assert [x for x, _ in warmup.lines[0].points] == [0.0, 20.0, 80.0]
    assert (lr.log, warmup.log) == (True, False)
    assert lr.lines[0].points[1][1] == warmup.lines[0].points[1][1]
    assert len(lr.lines) == len(warmup.lines) == 1
    baseline = report.loaded.baseline.name
    frame = frame_of(report)
    spoilt = frame.assign(
        value=frame["value"].where((frame["arm"] != baseline) | (frame["round"] != 1), math.inf)
    )
    assert [
        plot.left_out for plot in level_curves(replace(report, samples=ReportSamples.from_frame(spoilt)))
    ] == [
        1,
        0,
    ]


@pytest.mark.parametrize(
    "levels",
    [
        ["0.02", "0.2"],
        ["1", "2", "3", "none"],
        ["1", "1.0", "2", "3"],
        ["1", "2", "3", "nan"],
        [True, False, None],
    ],
)
def test_fewer_than_three_levels_or_others_than_distinct_numbers_make_no_figure(levels: list[object]) -> None:
    report = synthetic_report(study(compare={"std": levels}, claims={}, across={}), steps=1)
    assert level_curves(report) == []
    assert "figure-curve" not in render(report)


def test_levels_that_never_differ_alone_make_no_figure() -> None:
    compare = {"lr": [1, 2, 3], "batch": [4, 5, 6]}
    report = synthetic_report(
        study(compare=compare, claims={}, design={"arms": "paired", "rounds": 2, "exploratory": True}),
        steps=1,
    )
    assert level_curves(report) == []


def test_a_factor_that_does_not_exist_at_some_levels_is_named_so() -> None:
    compare = {"k": [1, 2, 4, 8], "rule": ["none", "sqrt"]}
    declared = study(
        compare=compare,
        when={"rule": {"k": [4, 8]}},
        claims={},
        across={},
        design={"arms": "factorial", "rounds": 2, "exploratory": True},
    )
    [plot] = level_curves(synthetic_report(declared, steps=1))
    assert [(line.label, [x for x, _ in line.points]) for line in plot.lines] == [
        ("no rule", [1.0, 2.0]),
        ("none", [4.0, 8.0]),
        ("sqrt", [4.0, 8.0]),
    ]


def test_losses_that_explode_leave_the_others_visible() -> None:
    report = synthetic_report(study(**CROSSED), steps=1)
    [plot] = level_curves(report)
    assert draw_curves(plot).axes[0].get_yscale() == "linear"
    frame = frame_of(report)
    wild = frame["arm"] == "std=2.0, tying=tied"
    frame = frame.assign(value=frame["value"].mask(wild, frame["value"] * 50))
    [plot] = level_curves(replace(report, samples=ReportSamples.from_frame(frame)))
    assert draw_curves(plot).axes[0].get_yscale() == "log"


def test_names_of_levels_that_would_run_into_each_other_are_left_out() -> None:
    rates = [1.0, 1.01, 1.02, 50.0, 100.0]
    [plot] = tuning_curves(tuned_report({"a": {x: [3.0] for x in rates}, "b": {1.0: [4.0]}}))
    shown = texts(plot)
    assert {"1", "50", "100"} <= set(shown)
    assert not {"1.01", "1.02"} & set(shown)
    assert len(draw_curves(plot).axes[0].get_xticks()) == len(rates)


def test_the_page_has_both_figures_and_repeats_byte_for_byte() -> None:
    tuned = tuned_report(
        {"1": {1e-3: [3.0], 1e-2: [2.0]}, "2": {1e-3: [4.0]}, "3": {1e-2: [4.5]}, "4": {1e-2: [4.5]}}
    )
    html = render(tuned)
    page = Page(html)
    titles = {figure.attributes["id"]: figure.text for figure in page.all("figure")}
    assert "validation loss over lr: values tried in tuning" in titles["figure-curve-tuning"]
    assert (
        "decode tokens per second over optimizer: levels that were compared" in titles["figure-curve-levels"]
    )
    for name in ("figure-curve-tuning", "figure-curve-levels"):
        assert len(page.all("svg", within=name)) == 1
    assert render(tuned) == html


def test_an_arm_without_a_value_is_a_gap() -> None:
    report = synthetic_report(study(**CROSSED), steps=1)
    frame = frame_of(report)
    frame = frame[frame["arm"] != "std=0.2, tying=tied"]
    [plot] = level_curves(replace(report, samples=ReportSamples.from_frame(frame)))
    assert math.isnan(dict(plot.lines[0].points)[0.2])
    assert math.isfinite(dict(plot.lines[1].points)[0.2])

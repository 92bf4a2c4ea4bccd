"""The data that the figures draw, and the resulting SVG."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.metrics import metric
from harness.report.inputs import ReportSamples
from harness.report.labels import arm_labels
from harness.report.plots.drift import drift
from harness.report.plots.forest import forests
from harness.report.plots.formula import draw_formula, formula_plots
from harness.report.plots.ratio import dodged, draw_ratios, numeric_factors, ratio_plots
from harness.report.plots.spread import draw_spread, spreads
from harness.report.plots.style import panel, ratio_ticks, scale_of
from harness.report.plots.svg import inline_svg
from tests.report.synthetic import PRIMARY, frame_of, load, study, synthetic_report


def test_ratios_are_those_of_the_contrasts_and_the_claim_is_marked() -> None:
    report = synthetic_report()
    (plot,) = ratio_plots(report)
    drawn = {(row.arm, row.x): (row.ratio, row.low, row.high) for row in plot.points.itertuples()}
    assert drawn == {
        (c.arm, float(c.condition["new_tokens"])): (c.effect, c.low, c.high)
        for c in report.analysis.contrasts
    }
    assert plot.levels == ((16.0, "16"), (64.0, "64"), (256.0, "256"))
    (claim,) = plot.claims
    assert (claim.claim, claim.x, claim.ratio) == ("kv-speedup", 256.0, 2.33)
    assert (claim.low, claim.high) == pytest.approx((2.33 / 1.25, 2.33 * 1.25))


def test_an_interval_without_bounds_is_no_bar_and_a_ratio_without_value_no_point() -> None:
    report = synthetic_report(study(design={"rounds": 1, "exploratory": True}))
    first, *others = report.analysis.contrasts
    contrasts = (replace(first, effect=math.inf), *others)
    (plot,) = ratio_plots(replace(report, analysis=replace(report.analysis, contrasts=contrasts)))
    assert plot.left_out == 1
    assert len(plot.points) == 8
    assert plot.points[["low", "high"]].isna().all(axis=None)


def test_there_is_one_plot_per_combination_of_the_other_conditions() -> None:
    claim = {
        "source": "here",
        "says": "twice",
        "level": {"cache": "static"},
        "at": {"new_tokens": 64, "text": "b"},
        "ratio": 2,
    }
    across = {"new_tokens": [16, 64], "text": ["a", "b"]}
    report = synthetic_report(study(across=across, claims={"twice": claim}, design={"rounds": 2}), steps=1)
    plots = ratio_plots(report)
    assert [plot.others for plot in plots] == [{"text": "a"}, {"text": "b"}]
    assert [len(plot.points) for plot in plots] == [6, 6]
    assert [len(plot.claims) for plot in plots] == [0, 1]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([16, 64], {"16": 16.0, "64": 64.0}),
        ([0.5, 1], {"0.5": 0.5, "1": 1.0}),
        ([16], None),
        (["a", "b"], None),
        ([True, False], None),
        ([1, None], None),
    ],
)
def test_a_condition_is_numeric_if_all_of_its_levels_are_numbers(
    levels: list[object], expected: object
) -> None:
    assert numeric_factors(load(study(across={"width": levels}, claims={}))).get("width") == expected


def test_a_spread_holds_one_point_a_trial_in_the_rows_of_the_arms() -> None:
    report = synthetic_report()
    plots = spreads(report)
    assert [spread.condition for spread in plots] == [{"new_tokens": n} for n in ("16", "64", "256")]
    assert plots[0].labels == ("none", "dynamic", "static", "doubling")
    assert [len(spread.points) for spread in plots] == [40, 40, 40]
    static = plots[2].points[plots[2].points["arm"] == 2]
    summary = next(
        s
        for s in report.analysis.summaries
        if (s.metric, s.arm, s.condition) == (PRIMARY, "cache=static", {"new_tokens": "256"})
    )
    assert static["value"].median() == summary.median
    assert list(static["round"]) == list(range(1, 11))


def test_measured_bytes_stand_beside_the_formula_an_arm_a_panel() -> None:
    plots = formula_plots(synthetic_report())
    assert [plot.title for plot in plots] == ["none", "dynamic", "static", "doubling"]
    assert all((plot.points["measured"] == plot.points["formula"]).all() for plot in plots)
    assert sorted(set(plots[1].points["x"])) == [16.0, 64.0, 256.0]
    assert {plot.largest for plot in plots} == {2 * 2 * 128 * 4 * (32 + 256)}
    assert set(plots[0].points["measured"]) == {0.0}


def test_without_a_numeric_condition_measured_bytes_stand_against_computed_ones() -> None:
    (plot,) = formula_plots(synthetic_report(study(across={}), steps=1))
    assert plot.factor == ""
    assert (plot.points["x"] == plot.points["formula"]).all()
    assert len(plot.points) == 40
    assert any(
        text.get_text() == "cache bytes formula (KiB)" for text in [draw_formula(plot).axes[0].xaxis.label]
    )


def test_drift_divides_by_the_usual_value_and_keeps_the_order_of_running() -> None:
    report = synthetic_report()
    info = drift(report)
    assert info is not None
    assert list(info.points["order"]) == list(range(1, 121))
    assert list(info.points["round"]) == sorted(info.points["round"])
    assert info.points.groupby("arm")["relative"].median().between(0.99, 1.01).all()
    by_round = info.points.groupby("round")["relative"].median()
    assert by_round[1] > 1.005
    assert by_round[10] < 0.995
    frame = frame_of(report)
    frame = frame.assign(session=frame["round"].map(lambda number: 2 if number <= 3 else 1))
    again = drift(replace(report, samples=ReportSamples.from_frame(frame)))
    assert again is not None
    assert again.points["round"].iloc[0] == 4
    assert again.points["round"].iloc[-1] == 3


def test_forests_tell_invalid_arms_apart() -> None:
    report = synthetic_report(study(across={}, claims={}))
    first, *others = report.analysis.contrasts
    analysis = replace(report.analysis, contrasts=(replace(first, verdict="invalid"), *others))
    (forest,) = forests(replace(report, analysis=analysis))
    assert [(row.label, row.valid) for row in forest.rows] == [
        ("dynamic", False),
        ("static", True),
        ("doubling", True),
    ]


@pytest.mark.parametrize(
    ("name", "largest", "unit", "factor"),
    [
        ("cache_bytes", 1536.0, "KiB", 1024.0),
        ("cache_bytes", 0.0, "B", 1.0),
        ("first_token_seconds", 0.0061, "ms", 1e-3),
        ("first_token_seconds", math.inf, "µs", 1e-6),
        ("loss", 3.0, "nats/token", 1.0),
    ],
)
def test_axes_use_the_unit_that_reads_well(name: str, largest: float, unit: str, factor: float) -> None:
    scale = scale_of(metric(name), [largest])
    assert (scale.unit, scale.factor) == (unit, factor)


@pytest.mark.parametrize(
    "bounds", [(0.99, 1.01), (0.9, 1.3), (0.98, 3.2), (0.5, 8.0), (1e-3, 1e4), (1e-9, 1e12)]
)
def test_ratio_axes_have_a_few_ticks_inside_their_bounds(bounds: tuple[float, float]) -> None:
    ticks = ratio_ticks(*bounds)
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert bounds[0] <= ticks[0]
    assert ticks[-1] <= bounds[1]
    assert any(tick == pytest.approx(1.0) for tick in ticks) or bounds[1] / bounds[0] > 100


def test_ratios_of_zero_have_no_axis() -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        ratio_ticks(0.0, 2.0)


def test_inlined_figures_share_no_id_carry_text_and_repeat_byte_for_byte() -> None:
    report = synthetic_report(study(design={"rounds": 2}), steps=1)
    (plot,) = ratio_plots(report)
    drawings = [
        inline_svg(draw_ratios(plot, report.loaded), name=name, title="A <b>", description="what & why")
        for name in ("one", "two", "one")
    ]
    assert drawings[0] == drawings[2]
    roots = [ElementTree.fromstring(drawing) for drawing in drawings[:2]]
    ids = [element.get("id", "") for root in roots for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids)) > 4
    assert all(name.startswith(("one-", "two-")) for name in ids)
    references = [
        element.get("href", "") for root in roots for element in root.iter() if "href" in element.attrib
    ]
    assert {reference[1:] for reference in references} <= set(ids)
    texts = [element.text for element in roots[0].iter("text")]
    assert {"16", "64", "256", "new tokens", "dynamic", "claimed: 2.33 (kv-speedup)"} <= set(texts)
    assert roots[0].findtext("title") == "A <b>"
    assert not list(roots[0].iter("style"))
    assert not list(roots[0].iter("metadata"))


def test_small_numbers_in_labels_survive_the_shortening_of_coordinates() -> None:
    report = synthetic_report(
        study(compare={"lr": ["0.0003", "0.0001234"]}, claims={}, design={"rounds": 2}), steps=1
    )
    drawing = inline_svg(draw_spread(spreads(report)[0]), name="one", title="t", description="d")
    assert ">0.0001234 (n = 2)<" in drawing


def test_long_names_are_shortened_and_stay_apart() -> None:
    long = "x" * 40
    labels = arm_labels(
        load(study(compare={"cache": ["none", long + "a" + long, long + "b" + long]}, claims={}))
    )
    assert list(labels.values()) == ["none", "x" * 17 + "…" + "x" * 16, "x" * 17 + "…" + "x" * 16 + " (3)"]


def test_points_of_several_arms_at_one_level_lie_beside_each_other() -> None:
    (plot,) = ratio_plots(synthetic_report())
    moved = dodged(plot)
    at = {x: sorted(moved.loc[plot.points["x"] == x, "x"]) for x in (16.0, 64.0, 256.0)}
    for x, (first, middle, last) in at.items():
        assert first < middle < last
        assert middle == pytest.approx(x)
        assert last / first < 1.2


def test_pairs_are_joined_unless_they_are_very_many() -> None:
    few, many = (
        spreads(synthetic_report(study(design={"rounds": n}, across={}), steps=1))[0] for n in (3, 41)
    )
    assert (few.joined, many.joined) == (True, False)
    drawn = [np.asarray(line.get_xdata()).tolist() for line in draw_spread(few).axes[0].lines]
    joined = [line for line in drawn if len(line) == 4]
    assert sorted(value for line in joined for value in line) == sorted(few.points["value"])
    assert len(joined) == 3
    assert not [line for line in draw_spread(many).axes[0].lines if np.size(line.get_xdata()) == 4]


def test_the_drift_of_one_round_is_left_out() -> None:
    assert drift(synthetic_report(study(design={"rounds": 1, "exploratory": True}), steps=1)) is None


def test_text_has_the_same_size_in_figures_of_every_width() -> None:
    sizes = []
    for width in (3.4, 8.6):
        with panel(width=width, height=2) as (figure, _):
            pass
        root = ElementTree.fromstring(inline_svg(figure, name="one", title="t", description="d"))
        sizes.append(float(root.attrib["width"]) / float(root.attrib["viewBox"].split()[2]))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_a_path_of_straight_lines_is_short_and_a_curve_stays_as_it_is() -> None:
    with panel(width=3, height=2) as (figure, axes):
        axes.plot([0, 1, 2], [0.0, 1.0, 0.5])
        axes.plot([0.5], [0.5], "o", markersize=4)
    root = ElementTree.fromstring(inline_svg(figure, name="one", title="t", description="d"))
    paths = [path.get("d", "") for path in root.iter("path")]
    lines = [path for path in paths if re.fullmatch(r"M( -?\d+(\.\d\d?)?){6}", path)]
    curves = [path for path in paths if "C" in path]
    assert len(lines) == 1
    assert any(re.search(r"\.\d\d\b", path) for path in curves)

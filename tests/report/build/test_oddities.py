"""Reports of runs that failed, or that are unusually small or large."""

import math
from dataclasses import replace

import pandas as pd

from harness.analysis.results import ParityRow
from harness.report.build import render
from harness.report.inputs import ReportSamples
from harness.store.rows import CheckRow
from tests.analysis.planted import Planted
from tests.report.parsed import Page
from tests.report.synthetic import PRIMARY, frame_of, study, synthetic_report


def banners(page: Page) -> list[str]:
    return [banner.text for banner in page.by_class("banner")]


def test_a_planted_bug_an_invalid_arm_and_an_incomplete_run_raise_banners_in_this_order() -> None:
    report = synthetic_report(study(design={"rounds": 2, "exploratory": True}))
    run = replace(
        report.run,
        plant="off-by-one",
        finished_trials=20,
        failed=["generate cache=static seed 0 round 2: died"],
    )
    reason = "cache-parity broke: logits differ by 0.3"
    contrasts = tuple(
        replace(c, verdict="invalid") if c.arm == "cache=static" else c for c in report.analysis.contrasts
    )
    analysis = replace(report.analysis, invalid={"cache=static": reason}, contrasts=contrasts)
    page = Page(render(replace(report, run=run, analysis=analysis)))
    shown = banners(page)
    assert shown[0].startswith("Planted bug: off-by-one")
    assert shown[1] == f"Invalid: 1 arm cache=static: {reason}"
    assert shown[2] == "Incomplete: 4 of 24 trials did not finish generate cache=static seed 0 round 2: died"
    assert len(shown) == 3
    assert page.by_class("warnings")[0].text.startswith("Exploratory")
    rows = [row for row in page.by_class("invalid") if row.tag == "tr"]
    assert len(rows) == 3
    assert all("cache=static" in row.text and "⊘ invalid" in row.text for row in rows)
    legend = {text.text for text in page.all("text", within="figure-effect")}
    assert {"static (invalid)", "dynamic", "doubling"} <= legend


def test_a_failed_check_is_the_worst_case_though_another_deviates_more() -> None:
    report = synthetic_report()
    checks = tuple(
        CheckRow(
            trial_id=1,
            case=case,
            passed=passed,
            deviation=deviation,
            tolerance=tolerance,
            detail=detail,
            invariant="cache-parity",
            arm="cache=static",
            precision="float64",
            compared=0,
            skipped=0,
        )
        for case, passed, deviation, tolerance, detail in (
            ("loose", True, 0.9, 1.0, ""),
            ("broken", False, math.nan, 1e-10, "no position compared"),
            ("tight", True, 1e-12, 1e-10, ""),
        )
    )
    page = Page(render(replace(report, analysis=replace(report.analysis, checks=checks))))
    rows = [row.text for row in page.all("tr", within="invariants")]
    assert rows[1] == "cache-parity cache=static ✗ failed 3 1 nan 1e-10 0 0"
    assert any("no position compared" in row for row in rows)


def test_a_declared_invariant_without_a_check_is_said_to_be_unchecked() -> None:
    report = synthetic_report()
    page = Page(render(replace(report, analysis=replace(report.analysis, checks=()))))
    assert "declares the invariant cache-parity, but it was never checked" in page.by_id("invariants").text


def test_parity_tells_a_confound_from_a_declared_difference() -> None:
    report = synthetic_report()
    rows = tuple(
        ParityRow(
            quantity=quantity,
            arm="cache=static",
            condition={"new_tokens": "16"},
            baseline_spent=100.0,
            spent=50.0,
            declared=declared,
            matches=False,
        )
        for quantity, declared in (("updates", True), ("tokens", False))
    )
    page = Page(render(replace(report, analysis=replace(report.analysis, parity=rows))))
    text = page.by_id("parity").text
    assert "Undeclared differences from the baseline: 1. Each is a confound" in text
    assert "50 ≠ differs (declared) 0.5 × of 100" in text
    assert "50 ≠ differs 0.5 × of 100" in text


def test_seconds_are_shown_beside_the_baselines_and_accuse_nobody() -> None:
    report = synthetic_report()
    row = ParityRow(
        quantity="seconds",
        arm="cache=static",
        condition={"new_tokens": "16"},
        baseline_spent=2.0,
        spent=3.0,
        declared=False,
        matches=False,
        enforced=False,
    )
    text = (
        Page(render(replace(report, analysis=replace(report.analysis, parity=(row,))))).by_id("parity").text
    )
    assert "3 s 1.5 ×" in text
    assert "differs" not in text.replace("if it differs", "")
    assert "The FLOPs and seconds do not have to match." in text


def test_values_that_are_no_numbers_are_counted_and_printed() -> None:
    report = synthetic_report()
    frame = frame_of(report).copy()
    mine = frame.index[
        (frame["metric"] == PRIMARY) & (frame["arm"] == "cache=dynamic") & (frame["round"] == 1)
    ]
    frame.loc[mine[:3], "value"] = math.nan
    frame.loc[mine[3:6], "value"] = math.inf
    contrasts = tuple(
        replace(c, effect=math.nan, low=math.nan, high=math.nan, verdict="invalid")
        if c.arm == "cache=dynamic"
        else c
        for c in report.analysis.contrasts
    )
    analysis = replace(report.analysis, contrasts=contrasts)
    page = Page(render(replace(report, samples=ReportSamples.from_frame(frame), analysis=analysis)))
    assert "3 ratios are not finite and cannot be drawn" in page.by_id("figure-effect").text
    assert "2 values are not finite and cannot be drawn" in page.by_id("figure-spread").text
    raw = [cell.text for cell in page.all("td", within="samples")]
    assert (raw.count("nan"), raw.count("inf")) == (3, 3)


def test_nothing_finite_is_a_report_without_those_figures() -> None:
    report = synthetic_report(study(design={"rounds": 1}))
    frame = frame_of(report).assign(value=math.nan)
    contrasts = tuple(replace(c, effect=math.nan) for c in report.analysis.contrasts)
    analysis = replace(report.analysis, contrasts=contrasts)
    page = Page(render(replace(report, samples=ReportSamples.from_frame(frame), analysis=analysis)))
    assert [one.attributes["id"] for one in page.all("figure")] == ["figure-resources"]
    assert "There are no measurements to draw" in page.by_id("figures").text


def test_no_samples_at_all() -> None:
    report = synthetic_report()
    run = replace(report.run, finished_trials=0)
    analysis = replace(report.analysis, contrasts=(), summaries=(), parity=(), checks=(), claims=())
    empty = replace(
        report,
        samples=ReportSamples.from_frame(frame_of(report).iloc[:0]),
        telemetry=report.telemetry.iloc[:0],
        run=run,
        analysis=analysis,
    )
    page = Page(render(empty))
    assert banners(page) == ["Incomplete: 120 of 120 trials did not finish"]
    assert "No telemetry was recorded" in page.by_id("method").text


def test_one_round_draws_points_without_intervals() -> None:
    page = Page(render(synthetic_report(study(design={"rounds": 1, "exploratory": True}))))
    assert "unbounded" in page.by_id("comparison").text
    assert len(page.all("svg", within="figure-effect")) == 1


def test_no_conditions_and_no_claims() -> None:
    page = Page(render(synthetic_report(study(across={}, claims={}))))
    assert "This study states no claims" in page.by_id("claims").text
    assert page.all("caption", within="comparison")[0].text == "all trials"
    assert [f.attributes["id"] for f in page.all("figure")] == [
        "figure-effect",
        "figure-spread",
        "figure-drift",
        "figure-resources",
    ]


def test_forty_arms_get_a_row_each_instead_of_lines() -> None:
    report = synthetic_report(
        study(compare={"cache": [f"kind{n}" for n in range(40)]}, claims={}, design={"rounds": 2}), steps=1
    )
    page = Page(render(report))
    assert len(page.all("svg", within="figure-effect")) == 3
    labels = [text.text for text in page.all("text", within="figure-effect")]
    assert sum(label.startswith("kind") for label in labels) == 3 * 39
    assert len(page.ids) == len(set(page.ids))


def test_arms_of_several_factors_have_labels_with_the_changed_levels() -> None:
    report = synthetic_report(
        study(compare={"cache": ["none", "static"], "norm": ["pre", "post"]}, claims={})
    )
    texts = {text.text for text in Page(render(report)).all("text", within="figure-spread")}
    labels = {text.partition(" (n = ")[0] for text in texts}
    assert {"baseline", "cache static", "norm post"} <= labels


def test_gpu_telemetry_is_summarised_where_there_is_any() -> None:
    report = synthetic_report()
    telemetry = report.telemetry.assign(gpu_memory_bytes=2.0 * 1024**3, gpu_utilisation=87.0)
    page = Page(render(replace(report, telemetry=telemetry, nvml_reason=None)))
    text = page.by_id("method").text
    assert "2 GiB / 2 GiB 87 % / 87 %" in text
    assert "GPU values were read from NVML while trials ran." in text


def test_the_sources_of_energy_are_listed() -> None:
    report = synthetic_report()
    sources = ("its counter", "its counter", "its power")
    trial = Planted().frames().trials[0]
    noted = tuple(replace(trial, notes={"energy": {"gpu_energy_joules": source}}) for source in sources)
    text = Page(render(replace(report, trials=noted))).by_id("method").text
    assert "GPU energy: its counter (2 trials)" in text
    assert "GPU energy: its power (1 trial)" in text


def test_a_gpu_that_gave_some_values_is_not_said_to_have_given_none() -> None:
    report = synthetic_report()
    text = Page(render(report)).by_id("method").text
    assert f"There are no GPU values: {report.nvml_reason}." in text
    seen = replace(
        report,
        telemetry=report.telemetry.assign(gpu_memory_bytes=2.0 * 1024**3),
        nvml_reason="utilisation: NVML: Not Supported",
    )
    text = Page(render(seen)).by_id("method").text
    assert "ran. Some are missing: utilisation: NVML: Not Supported." in text


def test_trainings_are_listed_after_the_measurements_and_never_drawn_among_them() -> None:
    report = synthetic_report(study(design={"rounds": 2}), steps=1)
    training = (
        frame_of(report)
        .iloc[:1]
        .assign(trial=9999, purpose="train", task="train", arm="", condition="{}", metric=PRIMARY, value=2.5)
    )
    mixed = replace(
        report, samples=ReportSamples.from_frame(pd.concat([frame_of(report), training], ignore_index=True))
    )
    page = Page(render(mixed))
    assert page.all("h3", within="samples")[-1].text == "Before the measurements"
    (row,) = [row for row in page.all("tr", within="samples-before-0") if "2.5" in row.text]
    assert row.text == "1 0 0 2.5"
    assert page.by_id("samples-before-0").text.startswith("train 1 row")
    assert page.by_id("figure-spread").text == Page(render(report)).by_id("figure-spread").text


def test_the_full_name_of_an_arm_of_several_factors_is_a_tooltip() -> None:
    compare = {"cache": ["none", "dynamic"], "model.init.embedding_std": [0.02, 0.005]}
    declared = study(compare=compare, across={}, claims={}, design={"rounds": 2})
    report = synthetic_report(declared, steps=1)
    checks = [replace(check, arm=report.loaded.arms[2].name) for check in synthetic_report().analysis.checks]
    report = replace(report, analysis=replace(report.analysis, checks=tuple(checks)))
    page = Page(render(report))
    full_name = "cache=none, model.init.embedding_std=0.005"
    short = "embedding std 0.005"
    assert [arm.name for arm in report.loaded.arms][2] == full_name
    assert "The baseline is cache=none, model.init.embedding_std=0.02." in page.by_id("comparison").text
    for section in ("comparison", "invariants", "samples", "method"):
        cells = [e for e in page.all("span", within=section) if e.attributes.get("title") == full_name]
        assert cells, section
        assert {cell.text for cell in cells} == {short}
    text = " ".join(page.by_id(section).text for section in ("comparison", "invariants", "method"))
    assert full_name not in text

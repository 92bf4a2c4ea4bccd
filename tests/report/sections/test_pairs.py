import math
from dataclasses import replace

import pytest

from harness.report.inputs import ReportInput, ReportSamples
from harness.report.sections import pairs
from harness.report.sections.pairs import PairRow, pair_anchors, pairs_view
from tests.report.synthetic import PRIMARY, frame_of, study, synthetic_report, with_trials

SHORT = {"across": {}, "claims": {}, "compare": {"cache": ["none", "static"]}, "design": {"rounds": 10}}


def rows_of(report: ReportInput) -> tuple[PairRow, ...]:
    view = pairs_view(report)
    assert view is not None
    return view.contrasts[0].rows


def test_a_row_has_the_values_of_both_trials_and_the_ratio_that_the_contrast_uses() -> None:
    report = with_trials(synthetic_report(study(**SHORT)))
    (contrast,) = report.analysis.contrasts
    rows = rows_of(report)
    assert [row.replicate for row in rows] == [f"round {number}" for number in range(1, 11)]
    assert [float(row.effect.value) for row in rows] == [math.exp(ratio) for _, ratio in contrast.pairs]
    measured = report.samples.measured
    for row in rows:
        for cell, trials, arm in (
            (row.baseline, row.baseline_trials, "cache=none"),
            (row.arm, row.arm_trials, "cache=static"),
        ):
            (link,) = trials
            (value,) = measured[(measured["trial"] == link.trial) & (measured["metric"] == PRIMARY)]["value"]
            assert float(cell.value) == value
            assert link.anchor == f"trial-{link.trial}"
            assert report.trials[link.trial - 1].arm == arm
    assert float(rows[0].arm.value) / float(rows[0].baseline.value) == pytest.approx(
        float(rows[0].effect.value)
    )


def test_disturbed_rounds_are_listed_as_set_aside_with_their_cause() -> None:
    report = with_trials(synthetic_report(study(**SHORT)))
    trials = tuple(
        replace(row, notes={"disturbed": "a compiler ran"}) if row.round == 3 and "static" in row.arm else row
        for row in report.trials
    )
    (contrast,) = report.analysis.contrasts
    without = replace(contrast, pairs=tuple(pair for pair in contrast.pairs if pair[0] != 3))
    analysis = replace(report.analysis, contrasts=(without,))
    rows = rows_of(replace(report, trials=trials, analysis=analysis))
    assert len(rows) == 10
    assert [row.note for row in rows if row.note] == ["set aside: disturbed from outside (a compiler ran)"]
    assert float(rows[2].arm.value) / float(rows[2].baseline.value) == float(rows[2].effect.value)


def test_disturbed_rounds_that_are_too_many_count_and_say_what_happened() -> None:
    report = with_trials(synthetic_report(study(**SHORT)), notes={"disturbed": "a compiler ran"})
    notes = {row.note for row in rows_of(report)}
    assert notes == {"counts, but disturbed from outside (a compiler ran)"}


def test_a_lost_value_and_a_tie_of_diverged_trainings_are_named() -> None:
    report = with_trials(synthetic_report(study(**SHORT)))
    (contrast,) = report.analysis.contrasts
    lost = tuple((number, math.nan if number == 2 else ratio) for number, ratio in contrast.pairs)
    changed = replace(contrast, pairs=lost, unknown=(5,))
    rows = rows_of(replace(report, analysis=replace(report.analysis, contrasts=(changed,))))
    assert {row.replicate: row.note for row in rows if row.note} == {
        "round 2": "a value is lost: the pair counts against every statement",
        "round 5": "both trainings diverged: a tie",
    }


def test_the_rounds_of_a_seed_are_one_pair_where_seeds_are_compared() -> None:
    report = synthetic_report(study(**SHORT))
    frame = frame_of(report)
    as_losses = frame[frame["metric"] == PRIMARY].assign(metric="validation_loss")
    as_losses["seed"] = (as_losses["round"] + 1) % 2
    (contrast,) = report.analysis.contrasts
    losses = replace(contrast, metric="validation_loss", pairs=((0, 0.25), (1, -0.5)))
    seeds = with_trials(replace(report, samples=ReportSamples.from_frame(as_losses)))
    declared = seeds.loaded.study
    design = declared.design.model_copy(update={"seeds": 2, "rounds": 5})
    loaded = replace(seeds.loaded, study=declared.model_copy(update={"design": design}))
    rows = rows_of(replace(seeds, loaded=loaded, analysis=replace(report.analysis, contrasts=(losses,))))
    assert [(row.replicate, len(row.arm_trials)) for row in rows] == [("seed 0", 5), ("seed 1", 5)]
    assert [float(row.effect.value) for row in rows] == [math.exp(0.25), math.exp(-0.5)]


def test_the_list_is_cut_after_the_contrasts_that_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    report = synthetic_report(study(claims={}, design={"rounds": 4}))
    primary = report.analysis.contrasts
    others = tuple(replace(contrast, metric="first_token_seconds") for contrast in primary)
    both = replace(report, analysis=replace(report.analysis, contrasts=(*others, *primary)))
    monkeypatch.setattr(pairs, "MOST_PAIR_ROWS", 4 * 10)
    view = pairs_view(both)
    assert view is not None
    assert (view.shown, view.total) == (10, 18)
    assert [contrast.metric for contrast in view.contrasts] == [
        *["decode tokens per second"] * 9,
        "first token seconds",
    ]
    assert set(pair_anchors(both).values()) == {contrast.anchor for contrast in view.contrasts}
    assert len(pair_anchors(both)) == 10
    assert view.export == "harness export kv_cache --scale cpu"


def test_a_single_contrast_is_cut_after_as_many_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "MOST_PAIR_ROWS", 6)
    view = pairs_view(synthetic_report(study(**SHORT)))
    assert view is not None
    (contrast,) = view.contrasts
    assert (len(contrast.rows), contrast.total) == (6, 10)


def test_a_study_without_contrasts_has_no_pairs() -> None:
    report = synthetic_report(study(**SHORT))
    assert pairs_view(replace(report, analysis=replace(report.analysis, contrasts=()))) is None


def test_trials_that_the_page_does_not_describe_have_no_link() -> None:
    rows = rows_of(synthetic_report(study(**SHORT)))
    assert {link.anchor for row in rows for link in (*row.arm_trials, *row.baseline_trials)} == {""}

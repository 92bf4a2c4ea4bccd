"""The rows of the first screen, with and without claims."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.results import ClaimAxis, Numbers
from harness.report.inputs import ReportInput
from harness.report.sections.answers import MOST_CONTRASTS, answer_groups, short_answer
from tests.report.synthetic import study, synthetic_report

SPEED = "decode tokens per second"
RATIO = ClaimAxis(compared_by="ratios", quantity=SPEED, margin=0.05, region=(1.86, 2.91))
BLEU = ClaimAxis(compared_by="differences", quantity="BLEU", margin=0.5)


@pytest.fixture(scope="module")
def report() -> ReportInput:
    return synthetic_report()


def with_axes(report: ReportInput, **axes: ClaimAxis) -> ReportInput:
    """The report, in which these claims have an axis and a number."""
    numbers = Numbers(effect=2.68, low=2.64, high=2.72, claimed=2.33)
    claims = [
        replace(claim, axis=axes[claim.id], numbers=numbers) if claim.id in axes else claim
        for claim in report.analysis.claims
    ]
    return replace(report, analysis=replace(report.analysis, claims=tuple(claims)))


def test_claims_on_ratios_share_an_axis_and_the_others_have_their_own_or_none(report: ReportInput) -> None:
    axes = {"kv-speedup": RATIO, "kv-memory": replace(RATIO, quantity="loss"), "kv-growth": BLEU}
    groups = answer_groups(with_axes(report, **axes))
    assert [(group.title, [row.anchor for row in group.rows]) for group in groups] == [
        ("ratio; 1 is no difference", ["claim-2-kv-speedup", "claim-4-kv-memory"]),
        ("BLEU, difference", ["claim-3-kv-growth"]),
        ("", ["claim-1-kv-same"]),
    ]
    assert [group.axis is not None for group in groups] == [True, True, False]
    assert groups[2].rows[0].strip is None


def test_a_row_has_the_verdict_the_sentence_and_the_figures(report: ReportInput) -> None:
    row = answer_groups(with_axes(report, **{"kv-speedup": RATIO}))[0].rows[0]
    assert (row.badge.text, row.says) == ("undecided", "Generation becomes 2.33 times as fast.")
    assert (row.effect, row.notes) == ("2.68 ×", ("2.64 to 2.72 ×", "claimed: 2.33 ×"))
    assert row.strip is not None
    assert row.strip.claimed is not None
    assert row.strip.region is not None


def test_a_claim_about_several_arms_shows_the_one_that_decides(report: ReportInput) -> None:
    report = with_axes(report, **{"kv-speedup": RATIO})
    several = tuple(
        replace(
            claim, effect="3.1 × (static), 2.68 × (dynamic)", interval="3 to 3.2 ×, …", decisive="dynamic"
        )
        if claim.axis
        else claim
        for claim in report.analysis.claims
    )
    row = answer_groups(replace(report, analysis=replace(report.analysis, claims=several)))[0].rows[0]
    assert (row.effect, row.notes[0]) == ("2.68 × (dynamic)", "2.64 to 2.72 ×")


def test_without_claims_the_contrasts_of_the_primary_metric_answer() -> None:
    report = synthetic_report(study(claims={}))
    (group,) = answer_groups(report)
    assert (len(group.rows), len(group.folded)) == (MOST_CONTRASTS, 9 - MOST_CONTRASTS)
    assert group.title == f"{SPEED}, ratio"
    assert [row.says for row in group.rows][:1] == ["cache=dynamic at new tokens 16"]
    assert [row.anchor for row in (*group.rows, *group.folded)][::3] == [f"comparison-{n}" for n in (1, 2, 3)]
    assert short_answer(report) == "9 better"


def test_the_short_answer_counts_verdicts(report: ReportInput) -> None:
    assert short_answer(report) == "2 confirmed, 1 undecided, 1 refuted"
    nothing = replace(report.analysis, claims=(), contrasts=())
    assert short_answer(replace(report, analysis=nothing)) == "no verdict yet"


def test_an_exploratory_study_has_no_verdicts() -> None:
    few = synthetic_report(study(claims={}, design={"rounds": 1, "exploratory": True}))
    assert short_answer(few) == "exploratory, no verdicts"

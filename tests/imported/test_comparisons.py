"""The numbers are those of every study; the words never claim more than a file can show."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.imported.comparisons import NO_DIRECTION, pairs_needed
from harness.statistics import holm, replicates, sign_flip_p
from tests.imported.results import analysed, log_ratios, losses, only, rows


def test_effect_interval_and_p_are_those_of_the_paired_procedure(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.97}, 8)
    comparison = only(analysed(tmp_path, rows(values), lower=("loss",)))
    samples = replicates(log_ratios(values["b"], values["a"]))
    contrast = comparison.numbers
    assert contrast.effect == pytest.approx(math.exp(samples.estimate), rel=1e-12)
    assert contrast.low == pytest.approx(math.exp(samples.interval(0.95).low), rel=1e-12)
    assert contrast.p == samples.p == 2 / 2**8
    assert contrast.p_sign_flip == sign_flip_p(log_ratios(values["b"], values["a"]))
    assert contrast.margin == 0.01
    assert contrast.relevant
    assert (comparison.arm, comparison.baseline) == ("b", "a")
    assert comparison.verdict == "better, not randomised"


@pytest.mark.parametrize(
    ("effect", "direction", "verdict"),
    [
        (0.97, "lower", "better, not randomised"),
        (0.97, "higher", "worse, not randomised"),
        (1.03, "lower", "worse, not randomised"),
        (1.0, "lower", "equivalent, not randomised"),
        (0.97, "", "undecided"),
        (1.0, "", "undecided"),
    ],
)
def test_a_verdict_says_that_nothing_was_randomised(
    tmp_path: Path, effect: float, direction: str, verdict: str
) -> None:
    options = {direction: ("loss",)} if direction else {}
    comparison = only(analysed(tmp_path, rows(losses({"a": 1.0, "b": effect}, 10)), **options))
    assert comparison.verdict == verdict
    assert (comparison.reason == NO_DIRECTION) == (not direction)
    assert comparison.numbers.effect == pytest.approx(effect, rel=0.01)


def test_all_arms_of_a_metric_are_one_family(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.97, "c": 0.995, "d": 1.0}, 9, noise=0.008)
    analysis = analysed(tmp_path, rows(values), lower=("loss",), margins={"loss": 0.001})
    raw = {arm: replicates(log_ratios(values[arm], values["a"])).p for arm in "bcd"}
    assert {one.arm: one.numbers.p_adjusted for one in analysis.comparisons} == holm(raw)
    assert len({one.numbers.alpha for one in analysis.comparisons}) > 1
    for one in analysis.comparisons:
        assert (one.verdict != "undecided") == (holm(raw)[one.arm] <= 0.05)


def test_a_metric_is_a_family_of_its_own(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.97}, 6)
    lines = [f"{line},{line.rpartition(',')[2]}9" for line in rows(values)[1:]]
    analysis = analysed(tmp_path, ["arm,seed,loss,other", *lines], lower=("loss", "other"))
    assert [one.numbers.p_adjusted for one in analysis.comparisons] == [2 / 2**6, 2 / 2**6]


@pytest.mark.parametrize(("seeds", "arms", "needed"), [(5, 2, 6), (3, 3, 7), (1, 2, 6), (5, 5, 8)])
def test_too_few_pairs_decide_nothing_not_even_equality(
    tmp_path: Path, seeds: int, arms: int, needed: int
) -> None:
    for effect in (0.5, 1.0):
        values = losses({"a": 1.0, **dict.fromkeys("bcde"[: arms - 1], effect)}, seeds, noise=1e-6)
        for one in analysed(tmp_path, rows(values), lower=("loss",)).comparisons:
            assert one.verdict == "undecided"
            assert f"at least {needed} are needed" in one.reason
            assert one.numbers.n == seeds


def test_six_pairs_cannot_decide_between_three_arms(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.9, "c": 0.9}, 6)
    for one in analysed(tmp_path, rows(values), lower=("loss",)).comparisons:
        assert one.verdict == "undecided"
        assert one.reason == "6 seeds cannot decide between 3 arms; at least 7 are needed"
    assert [pairs_needed(family) for family in (1, 2, 3, 4, 6, 7, 12, 25)] == [6, 7, 7, 8, 8, 9, 9, 10]


def test_pairs_are_matched_by_name_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    head, *lines = rows(losses({"a": 1.0, "b": 0.97}, 8))
    ordered = only(analysed(tmp_path, [head, *lines], lower=("loss",)))
    mixed = only(analysed(tmp_path, [head, lines[0], *reversed(lines[1:])], lower=("loss",)))
    assert mixed.numbers == ordered.numbers


def test_what_has_no_partner_is_left_out_of_that_comparison_only(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.97, "c": 0.97}, 8)
    lines = [line for line in rows(values) if line.split(",")[:2] not in (["b", "7"], ["c", "99"])]
    analysis = analysed(tmp_path, lines, lower=("loss",))
    assert {one.arm: one.numbers.n for one in analysis.comparisons} == {"b": 7, "c": 8}


def test_arms_without_a_common_seed_cannot_be_compared(tmp_path: Path) -> None:
    lines = [f"a,{seed},1.{seed}" for seed in range(6)] + [f"b,{seed},1.{seed}" for seed in range(10, 16)]
    comparison = only(analysed(tmp_path, ["arm,seed,loss", *lines], lower=("loss",)))
    assert (comparison.verdict, comparison.reason) == ("invalid", "no seed has values of both arms")


def test_rounds_are_compared_without_an_order(tmp_path: Path) -> None:
    """In a study, an arm that is always first is refused. A file does not say which arm was first."""
    values = losses({"a": 1.0, "b": 0.8}, 10, noise=0.02)
    comparison = only(analysed(tmp_path, rows(values, "arm,round,seconds"), lower=("seconds",)))
    assert comparison.verdict == "better, not randomised"
    assert (comparison.numbers.margin, comparison.record.paired_over) == (0.05, "rounds")


def test_differences_and_margins_are_those_that_were_given(tmp_path: Path) -> None:
    lines = [
        f"{arm},{seed},{shift + seed * 0.1}" for arm, shift in (("a", -0.3), ("b", -0.2)) for seed in range(8)
    ]
    options = {"higher": ("reward",), "difference": ("reward",)}
    comparison = only(analysed(tmp_path, ["arm,seed,reward", *lines], **options))
    assert comparison.numbers.effect == pytest.approx(0.1)
    assert comparison.verdict == "better, not randomised"
    wide = only(analysed(tmp_path, ["arm,seed,reward", *lines], margins={"reward": 0.5}, **options))
    assert wide.verdict == "equivalent, not randomised"


def test_a_training_that_diverged_counts_as_the_worst(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.97}, 8)
    values["b"][3] = math.inf
    comparison = only(analysed(tmp_path, rows(values), lower=("loss",)))
    assert comparison.numbers.p == replicates(log_ratios(values["b"], values["a"])).p > 0.05
    assert comparison.verdict == "undecided"
    assert "diverged on 1 of 8 seeds" in comparison.reason


def test_a_name_of_the_harness_means_the_column_of_the_file(tmp_path: Path) -> None:
    """`bleu` is a score of sentences in a study. In a file it is one number per seed."""
    values = losses({"a": 1.0, "b": 1.2}, 8)
    comparison = only(analysed(tmp_path, rows(values, "arm,seed,bleu"), higher=("bleu",)))
    assert comparison.verdict == "better, not randomised"
    assert comparison.metric == "bleu"


def test_equal_values_are_identical_and_copies_are_no_replicates(tmp_path: Path) -> None:
    same = losses({"a": 1.0}, 8)["a"]
    assert only(analysed(tmp_path, rows({"a": same, "b": same}), lower=("loss",))).verdict == "identical"
    copied = losses({"a": 1.0, "b": 0.97}, 8)
    copied["b"][5] = copied["b"][2]
    comparison = only(analysed(tmp_path, rows(copied), lower=("loss",)))
    assert comparison.verdict == "invalid"
    assert comparison.reason.startswith(
        "two seeds of 'b' have the same value to the last digit (lines 12 and 15)"
    )
    constant = losses({"a": 1.0, "b": 0.97}, 8)
    constant["b"] = [2.2] * 8
    comparison = only(analysed(tmp_path, rows(constant), lower=("loss",)))
    assert (comparison.verdict, comparison.reason) == (
        "invalid",
        "all seeds of 'b' have the same value, so they are no replicates",
    )


def test_trials_that_ended_at_different_steps_did_not_do_equal_work(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.97}, 8)
    lines = [f"{line},{900 if line.startswith('b,4,') else 1000}" for line in rows(values)[1:]]
    comparison = only(analysed(tmp_path, ["arm,seed,loss,step", *lines], lower=("loss",)))
    assert comparison.verdict == "invalid"
    assert "the last step is 900 in one trial (line 14) and 1000 in another one" in comparison.reason


def test_the_data_say_what_was_computed(tmp_path: Path) -> None:
    data = only(analysed(tmp_path, rows(losses({"a": 1.0, "b": 0.97}, 8)), lower=("loss",))).data()
    assert data["level"] == 0.95
    assert data["low"] < data["effect"] < data["high"] < 1
    assert (data["n"], data["better"], data["compared_by"]) == (8, "lower", "ratio")

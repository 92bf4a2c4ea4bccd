"""Every form of claim on one metric, through the analysis of a run whose truth is known."""

from __future__ import annotations

from typing import Any

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims.decision import Basis
from tests.analysis.claims.settled_claims import (
    AGAINST,
    BOTH,
    DYNAMIC,
    EITHER,
    settled_speed,
    settled_training,
    speed_study,
    speeds,
    training_claim_study,
)
from tests.analysis.planted import Planted, claim, flat, spoil_check


@pytest.mark.parametrize(
    ("form", "verdict", "claimed", "sentence"),
    [
        ({**DYNAMIC, "at_least": 1.5}, "confirmed", "at least 1.5 ×", "at least the claimed 1.5 ×."),
        ({**DYNAMIC, "at_least": 2.5}, "refuted", "at least 2.5 ×", "below the claimed 2.5 ×."),
        ({**DYNAMIC, "at_least": 2.0}, "undecided", "at least 2 ×", "the interval includes the claimed 2 ×."),
        ({**DYNAMIC, "at_most": 2.5}, "confirmed", "at most 2.5 ×", "at most the claimed 2.5 ×."),
        ({**DYNAMIC, "at_most": 1.5}, "refuted", "at most 1.5 ×", "above the claimed 1.5 ×."),
        ({**DYNAMIC, "direction": "better"}, "confirmed", "better", "better, as claimed."),
        ({**DYNAMIC, "direction": "worse"}, "refuted", "worse", "better, the opposite of the claim."),
        ({**DYNAMIC, "direction": "higher"}, "confirmed", "higher", "higher, as claimed."),
        (
            {**DYNAMIC, "direction": "better", "metric": "first_token_seconds"},
            "confirmed",
            "better",
            "better, as claimed.",
        ),
        (
            {**DYNAMIC, "direction": "lower", "metric": "first_token_seconds"},
            "confirmed",
            "lower",
            "lower, as claimed.",
        ),
        (
            {**DYNAMIC, "no_difference": True},
            "refuted",
            "no difference (margin 0.05)",
            "the difference is larger than the margin of 0.05.",
        ),
        (
            {**AGAINST, "ratio": 1.2, "within": 1.1},
            "confirmed",
            "1.2 × (region 1.091 to 1.32 ×)",
            "the direction (higher than cache=dynamic) is confirmed.",
        ),
        ({**AGAINST, "direction": "worse"}, "refuted", "worse", "better, the opposite of the claim."),
        (
            {**BOTH, "at_least": 1.5},
            "confirmed",
            "at least 1.5 ×",
            "The claim must hold for all 2 arms: 2 confirmed.",
        ),
        (
            {**BOTH, "at_least": 2.2},
            "refuted",
            "at least 2.2 ×",
            "The claim must hold for all 2 arms: 1 refuted, 1 confirmed.",
        ),
        (
            {**EITHER, "at_least": 2.2},
            "confirmed",
            "at least 2.2 ×",
            "The claim must hold for at least one of 2 arms: 1 refuted, 1 confirmed.",
        ),
        (
            {**EITHER, "at_least": 2.7},
            "refuted",
            "at least 2.7 ×",
            "The claim must hold for at least one of 2 arms: 2 refuted.",
        ),
    ],
)
def test_a_claim_on_speed(form: dict[str, Any], verdict: str, claimed: str, sentence: str) -> None:
    result = settled_speed(speed_study(**form))
    assert (result.verdict, result.claimed, result.n) == (verdict, claimed, 10)
    assert result.sentence.endswith(sentence)
    assert result.sentence.startswith("At this scale, on this device, ")
    assert result.basis is not None
    assert Basis.read(result.basis).verdict == verdict


def test_no_difference_where_there_is_none() -> None:
    result = settled_speed(speed_study(**DYNAMIC, no_difference=True), ratio=flat(1.0), noise=0.005)
    assert (result.verdict, result.sentence.rsplit(": ", 1)[1]) == (
        "confirmed",
        "the difference is within the margin of 0.05.",
    )
    vague = settled_speed(speed_study(**DYNAMIC, no_difference=True), ratio=flat(1.0), noise=0.3)
    assert vague.verdict == "undecided"


def test_against_another_arm_the_interval_is_that_of_their_own_pairs() -> None:
    result = settled_speed(speed_study(**AGAINST, ratio=1.2, within=1.1))
    assert result.numbers.effect == pytest.approx(1.2, rel=0.02)
    assert "decode tokens per second of cache=static at new tokens 256 is 1.2" in result.sentence
    assert "× cache=dynamic's (95 % interval" in result.sentence


def test_counted_bytes_are_compared_exactly() -> None:
    bytes_ = {"metric": "cache_bytes", **AGAINST}
    same = settled_speed(speed_study(**bytes_, no_difference=True))
    assert (same.verdict, same.interval, same.n) == ("confirmed", "counted exactly", 10)
    assert same.sentence.endswith("(counted exactly, 10 trials): the values are identical.")
    assert settled_speed(speed_study(**bytes_, at_least=1.0)).verdict == "confirmed"
    assert settled_speed(speed_study(**bytes_, at_most=0.9)).verdict == "refuted"


def test_an_arm_that_does_not_count_makes_the_claim_invalid_on_either_side() -> None:
    for broken in ("cache=dynamic", "cache=static"):
        for form in (AGAINST, BOTH, EITHER):
            loaded = speed_study(**form, at_least=1.1)
            frames = spoil_check(Planted(loaded=loaded, ratio=speeds).frames(), arm=broken, passed=False)
            result = claim(analyse(loaded, frames), "it")
            assert result.verdict == "invalid"
            assert result.sentence.startswith(f"{broken} is invalid: invariant cache-parity is broken")
            assert result.basis is None


@pytest.mark.parametrize(
    "form", [{"no_difference": True}, {"direction": "better"}, {"at_least": 1.0}, {"ratio": 1.0}]
)
def test_what_diverges_on_both_sides_on_every_seed_is_not_the_same(form: dict[str, Any]) -> None:
    result = settled_training(training_claim_study(**form), lost=lambda _arm, _seed: True)
    assert (result.verdict, result.n) == ("undecided", 8)
    assert result.sentence.endswith("both on 8): both arms diverged on every seed.")
    assert result.basis is not None
    assert Basis.read(result.basis).verdict == "undecided"

"""Contrasts of counts and shares of a training, which may be zero: they are compared by differences over
seeds.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from harness.analysis.claims.decision import Basis
from harness.analysis.results import Analysis, Contrast
from harness.statistics import paired_estimate
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import claim

LION = "optimizer=lion"


def counted(analysis: Analysis) -> Contrast:
    return next(contrast for contrast in analysis.contrasts if contrast.metric == "zero_gradients")


def claiming(form: dict[str, Any], seeds: int = 8, **changes: Any) -> Any:
    stated = {
        "source": "x",
        "says": "It is.",
        "level": {"optimizer": "lion"},
        "metric": "zero_gradients",
    } | form
    return training_study(claims={"it": stated}, design={"seeds": seeds}, **changes)


def fewer(arm: str, seed: int) -> float:
    """3 to 10 for the baseline, 0 for the other arm."""
    return 0.0 if arm == LION else 3.0 + seed


def test_the_effect_is_the_signed_rank_estimate_of_the_differences() -> None:
    result = counted(Learned(zeros=fewer).analysis())
    expected = paired_estimate({seed: -3.0 - seed for seed in range(8)})
    assert (result.n, result.verdict, result.relevant) == (8, "better", True)
    assert (result.effect, result.p) == (expected.estimate, expected.p)
    assert (result.low, result.high) == (expected.ci95.low, expected.ci95.high)
    assert dict(result.pairs) == {seed: -3.0 - seed for seed in range(8)}


def test_swapping_the_arms_mirrors_the_verdict() -> None:
    forth = counted(Learned(zeros=fewer).analysis())
    back = counted(Learned(zeros=lambda arm, seed: 3.0 + seed if arm == LION else 0.0).analysis())
    assert (back.verdict, back.effect, back.low, back.high) == (
        "worse",
        -forth.effect,
        -forth.high,
        -forth.low,
    )


def test_nothing_counted_in_any_arm_is_identical() -> None:
    result = counted(Learned().analysis())
    assert (result.verdict, result.effect, result.p) == ("identical", 0.0, 1.0)


def test_ties_decide_nothing() -> None:
    result = counted(Learned(zeros=lambda arm, seed: float(arm == LION and seed < 3)).analysis())
    assert (result.verdict, result.low) == ("undecided", 0.0)


def test_a_training_that_diverged_ranks_last() -> None:
    result = counted(Learned(zeros=fewer, lost=lambda arm, seed: arm == LION and seed == 0).analysis())
    assert dict(result.pairs)[0] == math.inf
    assert (result.verdict, result.n) == ("undecided", 8)


def test_a_margin_is_a_number_of_them() -> None:
    def one_more(arm: str, seed: int) -> float:
        return 5.0 + seed % 2 + (arm == LION)

    assert counted(Learned(zeros=one_more).analysis()).verdict == "worse"
    within = Learned(zeros=one_more, loaded=training_study(margins={"zero_gradients": 2.0}))
    assert counted(within.analysis()).verdict == "equivalent"


@pytest.mark.parametrize(
    ("form", "verdict", "words"),
    [
        ({"direction": "lower"}, "confirmed", "below the baseline's"),
        ({"direction": "better"}, "confirmed", "better, as claimed"),
        ({"direction": "higher"}, "refuted", "the opposite of the claim"),
        ({"no_difference": True}, "refuted", "larger than the margin of 0.005"),
        ({"direction": "lower", "exploratory": "few updates"}, "undecided", "exploratory (few updates)"),
    ],
)
def test_claims_on_counts(form: dict[str, Any], verdict: str, words: str) -> None:
    result = claim(Learned(loaded=claiming(form, seeds=6), zeros=fewer).analysis(), "it")
    assert result.verdict == verdict
    assert words in result.sentence
    assert "6 seeds" in result.sentence
    assert result.basis is not None
    assert Basis.read(json.loads(json.dumps(result.basis))).verdict == verdict


def test_one_seed_shows_an_effect_alone() -> None:
    loaded = training_study(
        claims={
            "it": {
                "source": "x",
                "says": "It is.",
                "level": {"optimizer": "lion"},
                "metric": "zero_gradients",
                "direction": "lower",
            }
        },
        design={"seeds": 1, "exploratory": True},
    )
    result = claim(Learned(loaded=loaded, zeros=fewer).analysis(), "it")
    assert (result.verdict, result.effect) == ("undecided", "-3")
    assert "exploratory, so there is no verdict" in result.sentence

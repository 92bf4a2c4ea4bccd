"""An effect that grows or falls with a condition."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.analysis.claims.settled_claims import AGAINST, BOTH
from tests.analysis.planted import CLAIMS, Planted, claim, flat, growing, study


def by_doubling(factor: float) -> Callable[[str, int], float]:
    return lambda cache, tokens: 1.0 if cache == "none" else 2.0 * factor ** math.log2(tokens / 16)


def bent(cache: str, tokens: int) -> float:
    return 1.0 if cache == "none" else {16: 1.5, 64: 1.3, 256: 2.5}[tokens]


@pytest.mark.parametrize(
    ("ratio", "verdict", "sentence"),
    [
        (growing, "confirmed", "it is increasing."),
        (by_doubling(0.8), "refuted", "it is decreasing."),
        (bent, "undecided", "it is increasing overall, but not at every step."),
    ],
)
def test_a_claimed_trend(ratio: Callable[[str, int], float], verdict: str, sentence: str) -> None:
    settled_speed = claim(Planted(ratio=ratio).analysis(), "kv-growth")
    assert settled_speed.verdict == verdict
    assert settled_speed.sentence.endswith(sentence)
    assert settled_speed.n == 10


def test_a_trend_that_is_flat_is_refuted_and_one_that_is_noise_is_open() -> None:
    quiet = claim(Planted(ratio=flat(2.0), noise=0.005).analysis(), "kv-growth")
    assert quiet.verdict == "refuted"
    assert quiet.sentence.endswith("it is flat within the margin.")
    noisy = claim(Planted(ratio=flat(2.0), noise=0.3).analysis(), "kv-growth")
    assert noisy.verdict == "undecided"
    assert noisy.sentence.endswith("the interval of the slope includes zero.")


def test_a_growth_that_is_real_but_within_the_margin_is_no_growth() -> None:
    """Four doublings of 0.5 % are 2 %: nothing beside a margin of 5 %, however sure."""
    settled_speed = claim(Planted(ratio=by_doubling(1.005), noise=0.0005, units=1).analysis(), "kv-growth")
    assert settled_speed.verdict == "refuted"


def test_a_decreasing_trend_mirrors_an_increasing_one() -> None:
    claims = {"falls": {**CLAIMS["kv-growth"], "trend": "decreasing"}}
    falling = Planted(loaded=study(claims=claims), ratio=by_doubling(0.8))
    settled_speed = claim(falling.analysis(), "falls")
    low, high = settled_speed.interval.removesuffix(" ×").split(" to ")
    assert settled_speed.verdict == "confirmed"
    assert float(low) < 0.8 < float(high)
    rising = claim(replace(falling, ratio=growing).analysis(), "falls")
    assert rising.verdict == "refuted"


def test_the_sentence_of_a_trend() -> None:
    settled_speed = claim(Planted(ratio=by_doubling(1.2), noise=1e-9, units=1).analysis(), "kv-growth")
    assert settled_speed.sentence == (
        "At this scale, on this device, the ratio of decode tokens per second, cache=dynamic "
        "to the baseline, "
        "is 2 × at 16, 2.88 × at 64, 4.15 × at 256 new tokens; it changes by × 1.2 per doubling "
        "(95 % interval 1.2 to 1.2 ×, 10 rounds of one model): it is increasing."
    )
    assert (settled_speed.effect, settled_speed.claimed) == ("× 1.2 per doubling", "increasing")


def test_a_trend_of_several_arms_and_against_another() -> None:
    def ratio(cache: str, tokens: int) -> float:
        return {"none": 1.0, "dynamic": 1.0 + tokens / 256, "static": 1.0 + tokens / 64}[cache]

    trend = {"source": "x", "says": "So.", "trend": "increasing", "over": "new_tokens"}
    for form in (BOTH, AGAINST):
        result = claim(Planted(loaded=study(claims={"it": {**trend, **form}}), ratio=ratio).analysis(), "it")
        assert result.verdict == "confirmed"

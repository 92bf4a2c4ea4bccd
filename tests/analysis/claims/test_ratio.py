"""A claimed ratio: the region of its figure, and the direction alone."""

from __future__ import annotations

import pytest

from tests.analysis.planted import CLAIMS, Planted, claim, flat, study

REGION = "the region 1.86 to 2.91 × of the claimed 2.33 ×"
HIGHER = "the direction (higher than the baseline)"


@pytest.mark.parametrize(
    ("ratio", "verdict", "sentence"),
    [
        (
            2.33,
            "confirmed",
            f"inside {REGION}; {HIGHER} is confirmed.",
        ),
        (
            1.0,
            "refuted",
            f"below {REGION}; {HIGHER} is refuted.",
        ),
        (
            4.0,
            "refuted",
            f"above {REGION}; {HIGHER} is confirmed.",
        ),
        (
            0.5,
            "refuted",
            f"below {REGION}; {HIGHER} is refuted.",
        ),
        (
            2.33 * 1.25,
            "undecided",
            f"the interval crosses the border of {REGION}; {HIGHER} is confirmed.",
        ),
    ],
)
def test_a_claimed_ratio(ratio: float, verdict: str, sentence: str) -> None:
    settled_speed = claim(Planted(ratio=flat(ratio)).analysis(), "kv-speedup")
    assert settled_speed.verdict == verdict
    assert settled_speed.sentence.endswith(sentence)
    assert settled_speed.n == 10
    assert settled_speed.claimed == "2.33 × (region 1.86 to 2.91 ×)"


def test_the_sentence_of_a_ratio_tells_what_was_measured() -> None:
    settled_speed = claim(Planted(ratio=flat(2.33), noise=1e-9, units=1).analysis(), "kv-speedup")
    assert settled_speed.sentence == (
        "At this scale, on this device, decode tokens per second of cache=dynamic at new tokens 256 is "
        "2.33 × the baseline's (95 % interval 2.33 to 2.33 ×, 10 rounds of one model): "
        "inside the region 1.86 to 2.91 × of "
        "the claimed 2.33 ×; "
        "the direction (higher than the baseline) is confirmed."
    )
    assert (settled_speed.effect, settled_speed.interval) == ("2.33 ×", "2.33 to 2.33 ×")


def test_a_claim_that_something_is_less() -> None:
    claims = {"slow": {**CLAIMS["kv-speedup"], "ratio": 0.5}}
    settled_speed = claim(Planted(loaded=study(claims=claims), ratio=flat(0.5)).analysis(), "slow")
    assert (settled_speed.verdict, settled_speed.claimed) == ("confirmed", "0.5 × (region 0.4 to 0.625 ×)")
    assert settled_speed.sentence.endswith("the direction (lower than the baseline) is confirmed.")

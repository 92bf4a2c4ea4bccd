"""A claim that an arm's own metric grows like a power of a condition."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims.decision import Basis
from harness.analysis.claims.exponent import SlopeRegion
from harness.analysis.member import Member
from harness.analysis.results import SettledClaim
from tests.analysis.planted import Planted, claim, study

LEVELS = (16, 64, 256)


def power(exponent: float) -> Callable[[str, int], float]:
    """The speed of the arms with a cache falls like this power of the new tokens."""
    return lambda cache, tokens: 1.0 if cache == "none" else (tokens / 16) ** -exponent


def stated(**form: Any) -> dict[str, Any]:
    claimed = {"source": "x", "says": "So.", "level": {"cache": "dynamic"}, "over": "new_tokens"}
    return {"it": claimed | form}


def seconds(exponent: float, changes: dict[str, Any] | None = None, /, **form: Any) -> SettledClaim:
    """The claim on the latency, which is the inverse of the speed."""
    given = {"metric": "first_token_seconds", "exponent": 1.0, "within": 0.15} | form
    loaded = study(claims=stated(**given))
    return claim(Planted(loaded=loaded, ratio=power(exponent), **changes or {}).analysis(), "it")


@pytest.mark.parametrize(
    ("exponent", "verdict", "position"),
    [
        (1.0, "confirmed", "inside the region 0.85 to 1.15 of the claimed exponent 1."),
        (0.5, "refuted", "below the region 0.85 to 1.15 of the claimed exponent 1."),
        (1.5, "refuted", "above the region 0.85 to 1.15 of the claimed exponent 1."),
        (
            1.15,
            "undecided",
            "the interval crosses the border of the region 0.85 to 1.15 of the claimed exponent 1.",
        ),
    ],
)
def test_the_interval_of_the_slope_decides(exponent: float, verdict: str, position: str) -> None:
    result = seconds(exponent)
    assert (result.verdict, result.claimed, result.n) == (verdict, "exponent 1 ± 0.15", 10)
    effect, low, high = result.numbers.effect, result.numbers.low, result.numbers.high
    assert effect is not None
    assert low is not None
    assert high is not None
    assert low < effect < high
    assert effect == pytest.approx(exponent, abs=0.02)
    assert "first token seconds of cache=dynamic grows like new tokens to the power of" in result.sentence
    assert result.sentence.endswith(f", 10 rounds of one model): {position}")
    assert result.basis is not None
    assert Basis.read(json.loads(json.dumps(result.basis))).verdict == verdict


def test_the_sentence_without_noise() -> None:
    result = seconds(2.0, {"noise": 1e-9, "units": 1}, exponent=2.0, within=0.25)
    assert result.sentence == (
        "At this scale, on this device, first token seconds of cache=dynamic grows like new tokens to the "
        "power of 2 (95 % interval 2 to 2, 10 rounds of one model): "
        "inside the region 1.75 to 2.25 of the claimed exponent 2."
    )
    assert (result.effect, result.interval) == ("exponent 2", "2 to 2")


def test_the_baseline_can_be_claimed_to_be_flat() -> None:
    result = seconds(1.0, level={"cache": "none"}, exponent=0.0, within=0.1)
    assert result.verdict == "confirmed"


def test_bytes_need_one_round() -> None:
    """Cache bytes are 1,024 × (new tokens + 32), so they grow by less than the new tokens."""
    for exponent, verdict in ((0.65, "confirmed"), (1.0, "refuted")):
        claims = stated(metric="cache_bytes", exponent=exponent, within=0.1)
        loaded = study(claims=claims, design={"rounds": 1, "exploratory": True})
        result = claim(Planted(loaded=loaded).analysis(), "it")
        assert (result.verdict, result.interval, result.n) == (verdict, "counted exactly", 1)
        slope = np.polyfit(np.log(LEVELS), np.log(np.array(LEVELS) + 32.0), 1)[0]
        assert result.numbers.effect == pytest.approx(slope)


def test_bytes_of_an_arm_without_a_cache_have_no_exponent() -> None:
    loaded = study(claims=stated(level={"cache": "none"}, metric="cache_bytes", exponent=1.0, within=0.1))
    result = claim(Planted(loaded=loaded).analysis(), "it")
    assert result.verdict == "invalid"
    assert "cache bytes of cache=none is not always positive and finite" in result.sentence


def test_a_round_over_two_sessions_is_invalid_for_timings_alone() -> None:
    for metric, verdict in (("first_token_seconds", "invalid"), ("cache_bytes", "confirmed")):
        planted = Planted(
            loaded=study(claims=stated(metric=metric, exponent=0.8, within=0.3)), ratio=power(0.8)
        )
        frames = planted.frames()
        late = (frames.samples["round"] == 3) & frames.samples["condition"].str.contains("256")
        frames.samples.loc[late, "session"] = 2
        result = claim(analyse(planted.loaded, frames), "it")
        assert result.verdict == verdict
        assert ("round 3 was not run in one session" in result.sentence) == (verdict == "invalid")


def test_one_level_shows_no_exponent() -> None:
    claims = stated(metric="first_token_seconds", exponent=1.0, within=0.15)
    loaded = study(claims=claims, across={"new_tokens": [64]}, design={"rounds": 2, "exploratory": True})
    result = claim(Planted(loaded=loaded).analysis(), "it")
    assert (result.verdict, result.sentence) == ("undecided", "One level of new tokens shows no slope.")


def verdicts_of(exponent: float, studies: int, seed: int) -> list[str]:
    """Verdicts on an exponent of 1 ± 0.15, where the machine drifts between rounds and trials are noisy."""
    random, rule, levels = np.random.default_rng(seed), SlopeRegion(low=0.85, high=1.15), np.log2(LEVELS)
    verdicts: list[str] = []
    for _ in range(studies):
        drift = np.cumsum(random.normal(0, 0.1, 10))
        logs = exponent * levels + drift[:, None] + random.normal(0, 0.15, (10, 3))
        pairs = tuple(enumerate(map(float, np.polyfit(levels, logs.T, 1)[0])))
        member = Member(metric="m", arm="a", against="", condition={}, pairs=pairs)
        verdicts.append(rule.tests(member).verdict())
    return verdicts


@pytest.mark.parametrize("exponent", [0.85, 1.15])
def test_an_exponent_at_the_border_is_confirmed_in_one_study_of_twenty(exponent: float) -> None:
    verdicts = verdicts_of(exponent, 1000, int(100 * exponent))
    assert 25 <= verdicts.count("confirmed") <= 69
    assert 8 <= verdicts.count("refuted") <= 42


def test_exponents_inside_and_outside_are_decided() -> None:
    assert verdicts_of(1.0, 100, 1).count("confirmed") >= 95
    assert verdicts_of(1.35, 100, 2).count("refuted") >= 95

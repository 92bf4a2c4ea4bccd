"""A claim on an arm's own value: the interval over its seeds decides, or the count alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims.decision import Basis
from harness.analysis.claims.value import ValueBound
from harness.analysis.member import Member
from harness.analysis.results import SettledClaim
from harness.statistics import paired_estimate
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import Planted, claim, study
from tests.analysis.written import Written, written_study

LION = {"level": {"optimizer": "lion"}}


def stated(**form: Any) -> dict[str, Any]:
    return {"it": {"source": "x", "says": "So."} | form}


def learned(changes: dict[str, Any] | None = None, /, **form: Any) -> SettledClaim:
    loaded = training_study(claims=stated(**form))
    return claim(Learned(loaded=loaded, **changes or {}).analysis(), "it")


@pytest.mark.parametrize(
    ("limit", "verdict", "claimed", "position"),
    [
        (
            {"at_most": 3.4},
            "confirmed",
            "at most 3.4 nats/token",
            "this is at most the claimed 3.4 nats/token.",
        ),
        ({"at_most": 2.0}, "refuted", "at most 2 nats/token", "this is above the claimed 2 nats/token."),
        (
            {"at_least": 2.0},
            "confirmed",
            "at least 2 nats/token",
            "this is at least the claimed 2 nats/token.",
        ),
        (
            {"at_least": 3.4},
            "refuted",
            "at least 3.4 nats/token",
            "this is below the claimed 3.4 nats/token.",
        ),
        (
            {"at_most": 2.7},
            "undecided",
            "at most 2.7 nats/token",
            "the interval includes the claimed 2.7 nats/token.",
        ),
    ],
)
def test_the_interval_over_seeds_decides(
    limit: dict[str, float], verdict: str, claimed: str, position: str
) -> None:
    result = learned(**LION, value=limit)
    assert (result.verdict, result.claimed, result.n) == (verdict, claimed, 8)
    assert result.sentence.startswith(
        "At this scale, on this device, validation loss of optimizer=lion is 2."
    )
    assert result.sentence.endswith(f"nats/token, 8 seeds): {position}")
    assert result.numbers.claimed == next(iter(limit.values()))
    assert result.basis is not None
    assert Basis.read(json.loads(json.dumps(result.basis))).verdict == verdict


def test_the_value_is_the_signed_rank_estimate_of_its_logs() -> None:
    """The loss of seed s is e^(0.05 s) times the first one's, so the centre of 8 seeds is between 3 and 4."""
    result = learned({"noise": 0.0}, **LION, value={"at_most": 3.4})
    last = 8.0 * math.exp(-1.3 * 29 / 30)
    expected = paired_estimate({seed: math.log(last) + 0.05 * seed for seed in range(8)})
    assert result.numbers.effect == pytest.approx(math.exp(expected.estimate))
    assert result.numbers.low == pytest.approx(math.exp(expected.ci95.low))
    assert result.numbers.high == pytest.approx(math.exp(expected.ci95.high))


def test_the_baseline_has_a_value_of_its_own_and_several_arms_can_be_named() -> None:
    result = learned(level={"optimizer": "adam"}, value={"at_most": 5.0})
    assert (result.verdict, "of optimizer=adam is 3." in result.sentence) == ("confirmed", True)
    both = learned(all_of=[{"optimizer": "adam"}, {"optimizer": "lion"}], value={"at_most": 3.1})
    assert both.verdict == "refuted"
    assert both.sentence.endswith("The claim must hold for all 2 arms: 1 refuted, 1 confirmed.")
    either = learned(any_of=[{"optimizer": "adam"}, {"optimizer": "lion"}], value={"at_most": 3.1})
    assert either.verdict == "confirmed"


def test_a_training_that_diverged_is_worse_than_any_figure() -> None:
    def lost(arm: str, seed: int) -> bool:
        return arm == "optimizer=lion" and seed < 2

    assert learned({"lost": lost}, **LION, value={"at_most": 3.4}).verdict == "undecided"
    result = learned({"lost": lambda _arm, _seed: True}, **LION, value={"at_most": 3.4})
    assert (result.verdict, result.effect, result.n) == ("refuted", "diverged", 8)


def test_a_metric_that_is_compared_by_differences_may_be_zero() -> None:
    form = {**LION, "metric": "zero_gradients"}
    none = learned(**form, value={"at_most": 0.5})
    assert (none.verdict, none.effect) == ("confirmed", "0")
    some = {"zeros": lambda _arm, seed: 3.0 + seed}
    assert learned(some, **form, value={"at_most": 0.5}).verdict == "refuted"
    assert learned(some, **form, value={"at_least": 1.0}).verdict == "confirmed"


def test_a_score_of_text_is_one_value_per_seed() -> None:
    right = {"greedy": 0.6, "beam": 0.66, "wide": 0.6}
    for limit, verdict in (({"at_least": 10.0}, "confirmed"), ({"at_least": 60.0}, "refuted")):
        loaded = written_study(
            claims=stated(level={"decoding": "beam"}, value=limit), design={"seeds": 6, "rounds": 2}
        )
        result = claim(Written(right=right, loaded=loaded, count=60).analysis(), "it")
        assert (result.verdict, result.n) == (verdict, 6)


BYTES = {"level": {"cache": "dynamic"}, "at": {"new_tokens": 64}, "metric": "cache_bytes"}


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        ({"at_most": 98304}, "confirmed"),
        ({"at_least": 98304}, "confirmed"),
        ({"at_most": 98303}, "refuted"),
        ({"at_least": 98305}, "refuted"),
    ],
)
def test_bytes_are_counted(limit: dict[str, float], verdict: str) -> None:
    loaded = study(claims=stated(**BYTES, value=limit), design={"rounds": 2, "exploratory": True})
    result = claim(Planted(loaded=loaded).analysis(), "it")
    assert (result.verdict, result.effect, result.interval, result.n) == (
        verdict,
        "96 KiB",
        "counted exactly",
        2,
    )
    assert "(counted exactly, 2 trials)" in result.sentence


def test_bytes_that_differ_between_trials_decide_nothing() -> None:
    planted = Planted(loaded=study(claims=stated(**BYTES, value={"at_most": 98304})))
    frames = planted.frames()
    rows = (frames.samples["metric"] == "cache_bytes") & (frames.samples["arm"] == "cache=dynamic")
    frames.samples.loc[frames.samples.index[rows], "value"] += frames.samples["round"]
    result = claim(analyse(planted.loaded, frames), "it")
    assert result.verdict == "invalid"
    assert "cache bytes of cache=dynamic is counted, but differs between trials" in result.sentence


def test_exploratory_claims_stay_open_and_missing_seeds_are_invalid() -> None:
    assert learned(**LION, value={"at_most": 3.4}, exploratory="few updates").verdict == "undecided"
    planted = Learned(loaded=training_study(claims=stated(**LION, value={"at_most": 3.4})))
    frames = planted.frames()
    frames = replace(frames, samples=frames.samples[frames.samples["seed"] != 3])
    assert claim(analyse(planted.loaded, frames), "it").verdict == "invalid"


def member(values: np.ndarray[Any, Any]) -> Member:
    pairs = tuple((seed, float(value)) for seed, value in enumerate(values))
    return Member(metric="m", arm="a", against="", condition={}, pairs=pairs)


@pytest.mark.parametrize("side", [1, -1])
def test_of_a_thousand_studies_at_the_bound_one_in_forty_errs(side: int) -> None:
    """Losses of 8 seeds whose centre is exactly the claimed figure: either verdict is an error of 2.5 %."""
    random, rule = np.random.default_rng(8 + side), ValueBound(side=side, bound=1.0)
    verdicts = [rule.tests(member(random.normal(1.0, 0.05, 8))).verdict() for _ in range(1000)]
    assert 8 <= verdicts.count("confirmed") <= 42
    assert 8 <= verdicts.count("refuted") <= 42


def test_a_value_that_is_far_from_the_bound_is_decided() -> None:
    random, rule = np.random.default_rng(10), ValueBound(side=1, bound=1.0)
    verdicts = {
        shift: [rule.tests(member(random.normal(1.0 + shift, 0.05, 8))).verdict() for _ in range(100)]
        for shift in (0.1, -0.1)
    }
    assert verdicts[0.1].count("confirmed") >= 95
    assert verdicts[-0.1].count("refuted") >= 95

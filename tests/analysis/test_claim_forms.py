"""Every form of claim through the analysis of a run whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims.decision import Basis
from harness.analysis.results import SettledClaim
from harness.study.loaded import LoadedStudy
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import CLAIMS, Planted, claim, flat, spoil_check, study


def speeds(cache: str, _tokens: int) -> float:
    return {"none": 1.0, "dynamic": 2.0, "static": 2.4}[cache]


def claiming(**form: Any) -> LoadedStudy:
    return study(claims={"it": {"source": "x", "says": "So.", "at": {"new_tokens": 256}} | form})


def settled(loaded: LoadedStudy, **changes: Any) -> SettledClaim:
    return claim(
        Planted(loaded=loaded, ratio=speeds, noise=0.01).analysis()
        if not changes
        else Planted(loaded=loaded, **changes).analysis(),
        "it",
    )


DYNAMIC: dict[str, Any] = {"level": {"cache": "dynamic"}}
STATIC: dict[str, Any] = {"level": {"cache": "static"}}
AGAINST: dict[str, Any] = {**STATIC, "against": {"cache": "dynamic"}}
BOTH: dict[str, Any] = {"all_of": [{"cache": "dynamic"}, {"cache": "static"}]}
EITHER: dict[str, Any] = {"any_of": [{"cache": "dynamic"}, {"cache": "static"}]}


@pytest.mark.parametrize(
    ("form", "verdict", "claimed", "told"),
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
def test_a_claim_on_speed(form: dict[str, Any], verdict: str, claimed: str, told: str) -> None:
    found = settled(claiming(**form))
    assert (found.verdict, found.claimed, found.n) == (verdict, claimed, 10)
    assert found.sentence.endswith(told)
    assert found.sentence.startswith("At this scale, on this device, ")
    assert found.basis is not None
    assert Basis.read(found.basis).verdict == verdict


def test_no_difference_where_there_is_none() -> None:
    found = settled(claiming(**DYNAMIC, no_difference=True), ratio=flat(1.0), noise=0.005)
    assert (found.verdict, found.sentence.rsplit(": ", 1)[1]) == (
        "confirmed",
        "the difference is within the margin of 0.05.",
    )
    vague = settled(claiming(**DYNAMIC, no_difference=True), ratio=flat(1.0), noise=0.3)
    assert vague.verdict == "undecided"


def test_against_another_arm_the_interval_is_that_of_their_own_pairs() -> None:
    found = settled(claiming(**AGAINST, ratio=1.2, within=1.1))
    assert found.numbers.effect == pytest.approx(1.2, rel=0.02)
    assert "decode tokens per second of cache=static at new tokens 256 is 1.2" in found.sentence
    assert "× cache=dynamic's (95 % interval" in found.sentence


def test_counted_bytes_are_compared_exactly() -> None:
    bytes_ = {"metric": "cache_bytes", **AGAINST}
    same = settled(claiming(**bytes_, no_difference=True))
    assert (same.verdict, same.interval, same.n) == ("confirmed", "counted exactly", 10)
    assert same.sentence.endswith("(counted exactly, 10 trials): the values are identical.")
    assert settled(claiming(**bytes_, at_least=1.0)).verdict == "confirmed"
    assert settled(claiming(**bytes_, at_most=0.9)).verdict == "refuted"


def test_an_arm_that_does_not_count_makes_the_claim_invalid_on_either_side() -> None:
    for broken in ("cache=dynamic", "cache=static"):
        for form in (AGAINST, BOTH, EITHER):
            loaded = claiming(**form, at_least=1.1)
            frames = spoil_check(Planted(loaded=loaded, ratio=speeds).frames(), arm=broken, passed=False)
            found = claim(analyse(loaded, frames), "it")
            assert found.verdict == "invalid"
            assert found.sentence.startswith(f"{broken} is invalid: invariant cache-parity is broken")
            assert found.basis is None


@pytest.mark.parametrize("name", ["kv-same", "kv-speedup", "kv-growth", "kv-memory"])
def test_what_is_declared_exploratory_shows_its_effect_and_stays_open(name: str) -> None:
    declared = {name: {**CLAIMS[name], "exploratory": "one seed only"}}
    found = claim(Planted(loaded=study(claims=declared)).analysis(), name)
    assert found.verdict == "undecided"
    assert found.sentence.endswith("exploratory (one seed only), so there is no verdict.")
    assert found.effect == claim(Planted().analysis(), name).effect


def test_a_broken_invariant_is_told_even_of_what_was_declared_exploratory() -> None:
    loaded = study(claims={"it": {**CLAIMS["kv-same"], "exploratory": "why"}})
    frames = spoil_check(Planted(loaded=loaded).frames(), arm="cache=static", passed=False)
    assert claim(analyse(loaded, frames), "it").verdict == "invalid"


def test_a_trend_of_several_arms_and_against_another() -> None:
    def ratio(cache: str, tokens: int) -> float:
        return {"none": 1.0, "dynamic": 1.0 + tokens / 256, "static": 1.0 + tokens / 64}[cache]

    trend = {"source": "x", "says": "So.", "trend": "increasing", "over": "new_tokens"}
    for form in (BOTH, AGAINST):
        found = claim(Planted(loaded=study(claims={"it": {**trend, **form}}), ratio=ratio).analysis(), "it")
        assert found.verdict == "confirmed"


def learning(changes: dict[str, Any] | None = None, /, **form: Any) -> LoadedStudy:
    return training_study(
        claims={"it": {"source": "x", "says": "So.", "level": {"optimizer": "lion"}} | form}, **changes or {}
    )


def learned(loaded: LoadedStudy, **changes: Any) -> SettledClaim:
    return claim(Learned(loaded=loaded, **changes).analysis(), "it")


def test_time_to_a_target() -> None:
    found = learned(learning(reaches=5.0, smoothed=1))
    assert (found.verdict, found.n, found.claimed) == ("confirmed", 8, "sooner at loss 5")
    assert (
        "it reaches the target on 8 of them, and the baseline does on 8): sooner, as claimed."
        in found.sentence
    )
    assert learned(learning(reaches=5.0, smoothed=1, when="later")).verdict == "refuted"
    in_seconds = learned(learning(reaches=5.0, smoothed=1, counted_in="seconds"))
    assert in_seconds.numbers.effect == pytest.approx(found.numbers.effect)


def test_seconds_to_a_target_are_timings_and_updates_are_not() -> None:
    """A round over two sessions, or arms always in the same order, spoils the one; the margin for time is the
    one's too.
    """
    for counted_in, verdict in (("seconds", "invalid"), ("updates", "confirmed")):
        loaded = learning(reaches=5.0, smoothed=1, counted_in=counted_in)
        frames = Learned(loaded=loaded).frames()
        split, ordered = frames.samples.copy(), frames.samples.copy()
        split.loc[(split["seed"] == 4) & (split["arm"] == "optimizer=lion"), "session"] = 2
        ordered["position"] = ordered["trial"]
        for samples, why in (
            (split, "round 1 of seed 4 was not run in one session"),
            (ordered, "in every round"),
        ):
            found = claim(analyse(loaded, replace(frames, samples=samples)), "it")
            assert found.verdict == verdict
            assert (why in found.sentence) == (verdict == "invalid")
    wide = {"margins": {"time": 0.9}}
    for counted_in, verdict in (("seconds", "refuted"), ("updates", "confirmed")):
        assert learned(learning(wide, reaches=5.0, smoothed=1, counted_in=counted_in)).verdict == verdict
    alike = learned(learning(reaches=5.0, smoothed=1), speed=lambda _names: 1.0, noise=0.0)
    assert (alike.verdict, alike.sentence.endswith(": equally soon.")) == ("refuted", True)


def test_a_target_that_is_missed_ranks_last_and_two_misses_tie() -> None:
    nobody = learned(learning(reaches=0.1, smoothed=1))
    assert nobody.verdict == "undecided", "all pairs tie, and nothing is known of either"
    assert nobody.sentence.endswith(
        "it reaches the target on 0 of them, and the baseline does on 0): neither arm reaches the target on any seed."
    )
    assert nobody.basis is not None
    assert Basis.read(nobody.basis).verdict == "undecided"
    lost = learned(
        learning(reaches=5.0, smoothed=1), lost=lambda arm, seed: arm == "optimizer=lion" and seed < 2
    )
    assert lost.verdict == "undecided"
    assert lost.n == 8, "a diverged seed is not dropped"


def test_one_pair_of_two_misses_is_a_tie() -> None:
    found = learned(learning(reaches=5.0, smoothed=1), lost=lambda _arm, seed: seed == 0)
    assert (found.verdict, found.n) == ("confirmed", 8)


@pytest.mark.parametrize(
    "form", [{"no_difference": True}, {"direction": "better"}, {"at_least": 1.0}, {"ratio": 1.0}]
)
def test_what_diverges_on_both_sides_on_every_seed_is_not_the_same(form: dict[str, Any]) -> None:
    found = learned(learning(**form), lost=lambda _arm, _seed: True)
    assert (found.verdict, found.n) == ("undecided", 8)
    assert found.sentence.endswith("8 seeds): both arms diverged on every seed.")
    assert found.basis is not None
    assert Basis.read(found.basis).verdict == "undecided"


def test_a_target_needs_its_curve() -> None:
    loaded = learning(reaches=5.0, counted_in="seconds")
    frames = Learned(loaded=loaded).frames()
    bare = frames.samples[frames.samples["metric"] != "update_seconds"]
    found = claim(analyse(loaded, frames.__class__(samples=bare, trials=frames.trials, checks=())), "it")
    assert (found.verdict, found.sentence) == (
        "invalid",
        "The data do not allow a comparison: a training of optimizer=lion has no loss over seconds.",
    )


def test_divergence_as_the_outcome() -> None:
    def lost(arm: str, seed: int) -> bool:
        return arm == "optimizer=adam" and seed < 7

    found = learned(learning(diverges="less"), lost=lost)
    assert (found.verdict, found.n, found.effect) == ("confirmed", 8, "0 against 7 of 8 seeds")
    assert found.sentence == (
        "At this scale, on this device, optimizer=lion diverges on 0 of 8 seeds, the baseline on 7 "
        "(McNemar's exact p 0.016): less often, as claimed."
    )
    assert learned(learning(diverges="more"), lost=lost).verdict == "refuted"
    assert learned(learning(diverges="less")).verdict == "undecided"


def sensitivity(name: str) -> LoadedStudy:
    factors = {
        "std": [0.02, 0.01, 0.04],
        "lr": [1e-3, 5e-4, 2e-3],
        "warmup": [100, 50, 200],
        "decay": [0.1, 0.05, 0.2],
        "clip": [1.0, 0.5, 2.0],
    }
    claims = {"it": {"source": "x", "says": "So.", "most_sensitive": name, "among": list(factors), "by": 2}}
    return training_study(compare=factors, claims=claims, design={"seeds": 9})


def steepness(names: dict[str, str]) -> float:
    moved = {"std": 0.5, "lr": 0.4, "warmup": 0.1, "decay": 0.05, "clip": 0.02}
    defaults = {"std": "0.02", "lr": "0.001", "warmup": "100", "decay": "0.1", "clip": "1.0"}
    return 1.5 - sum(moved[factor] for factor, level in names.items() if level != defaults[factor])


def test_among_the_most_sensitive() -> None:
    found = learned(sensitivity("std"), speed=steepness)
    assert (found.verdict, found.n, found.claimed) == ("confirmed", 9, "among the 2 most sensitive of 5")
    assert "is: std 1." in found.sentence
    assert found.sentence.endswith(
        "Of the 4 other factors, 4 are significantly less sensitive than std (3 are needed to confirm), and 0 are significantly more sensitive (2 are needed to refute)."
    )
    assert learned(sensitivity("clip"), speed=steepness).verdict == "refuted"


def test_a_factor_that_diverges_is_the_most_sensitive() -> None:
    found = learned(sensitivity("std"), speed=steepness, lost=lambda arm, _seed: "std=0.04" in arm)
    assert found.verdict == "confirmed"

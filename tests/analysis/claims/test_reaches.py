"""How soon trainings reach a target loss."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims.decision import Basis
from tests.analysis.claims.settled_claims import settled_training, training_claim_study
from tests.analysis.learned import Learned
from tests.analysis.planted import claim


def test_time_to_a_target() -> None:
    result = settled_training(training_claim_study(reaches=5.0, smoothed=1))
    assert (result.verdict, result.n, result.claimed) == ("confirmed", 8, "sooner at loss 5")
    assert (
        "it reaches the target on 8 of them, and the baseline does on 8): sooner, as claimed."
        in result.sentence
    )
    assert settled_training(training_claim_study(reaches=5.0, smoothed=1, when="later")).verdict == "refuted"
    in_seconds = settled_training(training_claim_study(reaches=5.0, smoothed=1, counted_in="seconds"))
    assert in_seconds.numbers.effect == pytest.approx(result.numbers.effect)


def test_seconds_to_a_target_are_timings_and_updates_are_not() -> None:
    """A round over two sessions, or arms always in the same order, spoils the one; the margin for time is
    that of both.
    """
    for counted_in, verdict in (("seconds", "invalid"), ("updates", "confirmed")):
        loaded = training_claim_study(reaches=5.0, smoothed=1, counted_in=counted_in)
        frames = Learned(loaded=loaded).frames()
        split, ordered = frames.samples.copy(), frames.samples.copy()
        split.loc[(split["seed"] == 4) & (split["arm"] == "optimizer=lion"), "session"] = 2
        ordered["position"] = ordered["trial"]
        for samples, why in (
            (split, "round 1 of seed 4 was not run in one session"),
            (ordered, "in every round"),
        ):
            result = claim(analyse(loaded, replace(frames, samples=samples)), "it")
            assert result.verdict == verdict
            assert (why in result.sentence) == (verdict == "invalid")
    wide = {"margins": {"time": 0.9}}
    for counted_in in ("seconds", "updates"):
        loaded = training_claim_study(wide, reaches=5.0, smoothed=1, counted_in=counted_in)
        assert settled_training(loaded).verdict == "refuted"
    alike = settled_training(
        training_claim_study(reaches=5.0, smoothed=1), speed=lambda _names: 1.0, noise=0.0
    )
    assert (alike.verdict, alike.sentence.endswith(": equally soon, within the margin of 0.05.")) == (
        "refuted",
        True,
    )


def test_a_target_that_is_missed_ranks_last_and_two_misses_tie() -> None:
    nobody = settled_training(training_claim_study(reaches=0.1, smoothed=1))
    assert nobody.verdict == "undecided", "all pairs tie, and nothing is known of either"
    assert nobody.sentence.endswith(
        "it reaches the target on 0 of them, and the baseline does on 0): "
        "neither arm reaches the target on any seed."
    )
    assert nobody.basis is not None
    assert Basis.read(nobody.basis).verdict == "undecided"
    lost = settled_training(
        training_claim_study(reaches=5.0, smoothed=1),
        lost=lambda arm, seed: arm == "optimizer=lion" and seed < 2,
    )
    assert lost.verdict == "undecided"
    assert lost.n == 8, "a diverged seed is not dropped"


def test_one_pair_of_two_misses_is_a_tie() -> None:
    result = settled_training(
        training_claim_study(reaches=5.0, smoothed=1), lost=lambda _arm, seed: seed == 0
    )
    assert (result.verdict, result.n) == ("confirmed", 8)


def test_a_target_needs_its_curve() -> None:
    loaded = training_claim_study(reaches=5.0, counted_in="seconds")
    frames = Learned(loaded=loaded).frames()
    bare = frames.samples[frames.samples["metric"] != "update_seconds"]
    result = claim(analyse(loaded, frames.__class__(samples=bare, trials=frames.trials, checks=())), "it")
    assert (result.verdict, result.sentence) == (
        "invalid",
        "The data do not allow a comparison: a training of optimizer=lion has no loss over seconds.",
    )

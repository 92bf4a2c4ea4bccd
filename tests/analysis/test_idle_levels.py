"""A level that does nothing is told, and equal values of different outputs are not called identical."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.frames import RunFrames
from harness.analysis.results import Analysis
from harness.analysis.validity.idle import idle_warnings
from harness.invariants.registry import find_invariant
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import Planted, spoil_trials

SAME = "arm optimizer=lion did exactly what the baseline did on every seed: its level may do nothing"


def shared(_arm: str, seed: int) -> str:
    return f"{seed}"


def own(arm: str, seed: int) -> str:
    return f"{arm} {seed}"


def but_one(arm: str, seed: int) -> str:
    return f"{arm if seed == 3 else ''} {seed}"


def verdict(found: Analysis, name: str) -> str:
    [contrast] = [each for each in found.contrasts if each.metric == name]
    return contrast.verdict


def equal(learned: Learned) -> RunFrames:
    """Every sample of the arm is the baseline's."""
    frames = learned.frames()
    samples = frames.samples.copy()
    keys = ["seed", "metric", "step"]
    baseline = samples[samples["arm"] == "optimizer=adam"].set_index(keys)["value"]
    samples["value"] = [baseline[tuple(place)] for place in samples[keys].itertuples(index=False)]
    return replace(frames, samples=samples)


@pytest.mark.parametrize(
    ("weights", "told", "same"),
    [
        (shared, True, "identical"),
        (own, False, "equivalent"),
        (but_one, False, "equivalent"),
        (lambda _arm, _seed: "", False, "identical"),
    ],
)
def test_an_arm_that_did_what_the_baseline_did(weights: object, told: bool, same: str) -> None:  # noqa: FBT001
    learned = Learned(weights=weights)  # type: ignore[arg-type]
    found = analyse(learned.loaded, equal(learned))
    assert (SAME in found.warnings) == told
    assert verdict(found, "validation_loss") == verdict(found, "zero_gradients") == same


def test_equal_values_of_an_exploratory_study_decide_nothing_unless_the_outputs_are_equal() -> None:
    loaded = training_study(design={"seeds": 3, "exploratory": True})
    for weights, expected in ((shared, "identical"), (own, "undecided")):
        learned = Learned(loaded=loaded, weights=weights)
        assert verdict(analyse(loaded, equal(learned)), "validation_loss") == expected


def test_a_trial_that_is_lost_is_not_taken_for_the_same() -> None:
    learned = Learned(weights=shared)
    frames = learned.frames()
    lost = next(trial.id for trial in frames.trials if trial.arm == "optimizer=lion")
    assert SAME in analyse(learned.loaded, frames).warnings
    assert (
        SAME
        not in analyse(learned.loaded, spoil_trials(frames, lambda t: t.id == lost, state="lost")).warnings
    )


def test_a_study_of_costs_wants_arms_that_do_the_same() -> None:
    assert not any("may do nothing" in warning for warning in Planted().analysis().warnings)


def test_arms_that_an_invariant_wants_alike_are_no_surprise() -> None:
    learned = Learned(weights=shared)
    trials = learned.frames().trials
    study = learned.loaded.study
    checked = study.model_copy(update={"invariants": (*study.invariants, "checkpointing-parity")})
    assert list(idle_warnings(learned.loaded, trials)) == [SAME]
    assert list(idle_warnings(replace(learned.loaded, study=checked), trials)) == []


@pytest.mark.parametrize(
    ("invariant", "decoding", "alike"),
    [
        ("beam-greedy", {"kind": "beam", "width": 1}, True),
        ("beam-greedy", {"kind": "beam", "width": 2}, False),
        ("beam-greedy", {"kind": "greedy"}, False),
        ("speculative-target", {"kind": "speculative", "choose": {"kind": "greedy"}}, True),
        ("speculative-target", {"kind": "speculative", "choose": {"kind": "sampling"}}, False),
        ("speculative-target", {"kind": "greedy"}, False),
    ],
)
def test_which_texts_an_invariant_wants_alike(
    invariant: str,
    decoding: dict[str, object],
    alike: bool,  # noqa: FBT001
) -> None:
    assert find_invariant(invariant).wants_alike({"decoding": decoding}) == alike

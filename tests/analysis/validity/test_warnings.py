"""Warnings: levels without an effect, drift, unknown quantities of work, trials that were timed too soon.
Equal values of different outputs are not called identical.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames
from harness.analysis.results import Analysis
from harness.analysis.validity.warnings import idle_warnings
from harness.invariants.registry import find_invariant
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import Planted, contrast, flat, spoil_trials, study, verdicts
from tests.support.tiny_study import SPEED

SAME = (
    "arm optimizer=lion gave exactly the baseline's outputs in all of its 8 trials; "
    "its level may have no effect"
)


def shared(_arm: str, seed: int) -> str:
    return f"{seed}"


def distinct(arm: str, seed: int) -> str:
    return f"{arm} {seed}"


def but_one(arm: str, seed: int) -> str:
    return f"{arm if seed == 3 else ''} {seed}"


def verdict(analysis: Analysis, name: str) -> str:
    [contrast] = [contrast for contrast in analysis.contrasts if contrast.metric == name]
    return contrast.verdict


def equal(learned: Learned) -> MemoryFrames:
    """Every sample of the arm is the baseline's."""
    frames = learned.frames()
    samples = frames.samples.copy()
    keys = ["seed", "metric", "step"]
    baseline = samples[samples["arm"] == "optimizer=adam"].set_index(keys)["value"]
    samples["value"] = [baseline[tuple(key)] for key in samples[keys].itertuples(index=False)]
    return replace(frames, samples=samples)


@pytest.mark.parametrize(
    ("weights", "warned", "same"),
    [
        (shared, True, "identical"),
        (distinct, False, "equivalent"),
        (but_one, False, "equivalent"),
        (lambda _arm, _seed: "", False, "identical"),
    ],
)
def test_an_arm_with_the_outputs_of_the_baseline(
    weights: object,
    warned: bool,  # noqa: FBT001
    same: str,
) -> None:
    learned = Learned(weights=weights)  # type: ignore[arg-type]
    analysis = analyse(learned.loaded, equal(learned))
    assert (SAME in analysis.warnings) == warned
    assert verdict(analysis, "validation_loss") == verdict(analysis, "zero_gradients") == same


def test_equal_values_of_an_exploratory_study_decide_nothing_unless_the_outputs_are_equal() -> None:
    loaded = training_study(design={"seeds": 3, "exploratory": True})
    for weights, expected in ((shared, "identical"), (distinct, "undecided")):
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
    assert not any("may have no effect" in warning for warning in Planted().analysis().warnings)


def test_arms_that_an_invariant_wants_alike_are_no_surprise() -> None:
    learned = Learned(weights=shared)
    frames = learned.frames()
    study = learned.loaded.study
    checked = study.model_copy(update={"invariants": (*study.invariants, "checkpointing-parity")})
    assert list(idle_warnings(learned.loaded, frames)) == [SAME]
    assert list(idle_warnings(replace(learned.loaded, study=checked), frames)) == []


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


def test_a_quantity_that_nothing_counts_excuses_nothing() -> None:
    result = Planted(loaded=study(parity={"match": ["second"], "differ": ["new_token"]})).analysis()
    counted = "but no trial counts it (counted: new_tokens, parameters, seconds)"
    assert result.warnings == (
        f"parity.match names 'second', {counted}",
        f"parity.differ names 'new_token', {counted}",
    )


def test_drift_that_all_arms_share_is_a_warning_and_no_bias() -> None:
    steady = Planted(ratio=flat(2.0)).analysis()
    drifting = Planted(ratio=flat(2.0), drift=-0.2).analysis()
    assert contrast(drifting).effect == pytest.approx(contrast(steady).effect, rel=1e-9)
    assert verdicts(drifting) == verdicts(steady)
    assert steady.warnings == ()
    assert drifting.warnings[0] == (
        "cache=none at new tokens 16: decode tokens per second drifts over the rounds (tau -1.00); "
        "pairing within rounds removes most of it"
    )
    assert len(drifting.warnings) == 9


SOUND = Planted()


def warnings_with_unsteady(
    unsteady: set[int], primary: str | None = None, *, gain: float = 0.0
) -> tuple[str, ...]:
    """The warnings if the trials of these rounds, of 90 trials in all, were not steady. With a `gain`, each
    repetition is faster than the one before.
    """
    frames = spoil_trials(SOUND.frames(), lambda _: True, notes={"steady": True})
    frames = spoil_trials(frames, lambda trial: trial.round in unsteady, notes={"steady": False})
    if gain:
        samples = frames.samples
        faster = samples["value"].where(samples["metric"] != SPEED, samples["value"] + gain * samples["step"])
        frames = replace(frames, samples=samples.assign(value=faster))
    loaded = study(primary=primary, claims={}) if primary else SOUND.loaded
    return analyse(loaded, frames).warnings


def test_many_unsteady_trials_are_a_warning_that_says_what_to_do() -> None:
    (warning,) = warnings_with_unsteady({1, 2}, gain=10.0)
    assert warning == (
        "18 of 90 trials were timed before their repetitions agreed with one another; "
        "allow a longer warm-up (warm_up.at_most)"
    )


@pytest.mark.parametrize("gain", [0.0, -10.0])
def test_a_longer_warm_up_is_no_advice_for_repetitions_that_do_not_become_faster(gain: float) -> None:
    (warning,) = warnings_with_unsteady({1, 2}, gain=gain)
    assert "warm_up" not in warning
    assert "do not become faster, so the machine is noisy" in warning


def test_one_unsteady_round_in_ten_is_no_warning_and_neither_are_trials_without_the_note() -> None:
    assert warnings_with_unsteady({1}) == warnings_with_unsteady(set()) == SOUND.analysis().warnings == ()


def test_a_metric_that_is_not_timed_needs_no_warm_up() -> None:
    assert warnings_with_unsteady(set(range(1, 11)), primary="cache_bytes") == ()

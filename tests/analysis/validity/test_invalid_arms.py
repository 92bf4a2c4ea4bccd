"""Invalid arms: broken invariants, confounds, missing rows, split rounds, and values that are not numbers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames
from harness.analysis.results import Analysis
from tests.analysis.planted import (
    SPEED,
    Planted,
    claim,
    contrast,
    flat,
    growing,
    spoil_check,
    spoil_trials,
    study,
    verdicts,
)

SOUND = Planted()
FRAMES = SOUND.frames()
ALL_INVALID = dict.fromkeys(("kv-same", "kv-speedup", "kv-growth", "kv-memory"), "invalid")
BROKEN: dict[str, Any] = {"passed": False, "deviation": 0.31}


def spoilt(frames: MemoryFrames, **changes: Any) -> Analysis:
    return analyse(replace(SOUND.loaded, study=study(**changes).study) if changes else SOUND.loaded, frames)


def test_a_broken_invariant_makes_its_arm_invalid_and_says_why() -> None:
    result = spoilt(spoil_check(FRAMES, arm="cache=dynamic", **BROKEN))
    why = (
        "invariant cache-parity is broken: one query in float64: deviation 0.31, tolerance 1e-10 "
        "(2 of 2 checks fail)"
    )
    assert result.invalid == {"cache=dynamic": why}
    assert verdicts(result) == ALL_INVALID, "each of the four is about that arm"
    assert claim(result, "kv-speedup").sentence == f"cache=dynamic is invalid: {why}."
    assert claim(result, "kv-same").sentence == f"cache=dynamic is invalid: {why}."
    assert contrast(result).verdict == "invalid"
    assert contrast(result).reason == why
    assert contrast(result, arm="cache=static").verdict == "better"
    assert result.answer.startswith(f"The answer is incomplete: cache=dynamic is invalid: {why}.")


def test_an_invariant_that_broke_counts_even_if_the_study_drops_it() -> None:
    broken = spoil_check(FRAMES, arm="cache=dynamic", **BROKEN)
    dropped = spoilt(broken, invariants=[], claims={})
    assert dropped.invalid == spoilt(broken).invalid
    assert spoilt(FRAMES, invariants=[], claims={}).invalid == {}


def test_a_broken_arm_leaves_claims_on_other_arms_alone() -> None:
    result = spoilt(spoil_check(FRAMES, arm="cache=static", **BROKEN))
    assert verdicts(result) == {
        "kv-same": "invalid",
        "kv-speedup": "confirmed",
        "kv-growth": "confirmed",
        "kv-memory": "invalid",
    }


def test_a_broken_baseline_makes_everything_invalid_and_is_reported_once() -> None:
    result = spoilt(spoil_check(FRAMES, arm="cache=none", **BROKEN))
    assert set(result.invalid) == {"cache=none", "cache=dynamic", "cache=static"}
    assert verdicts(result) == ALL_INVALID
    assert {c.verdict for c in result.contrasts} == {"invalid"}
    assert claim(result, "kv-memory").sentence.count("is broken") == 1
    assert result.answer.count("is broken") == 1


def test_checks_that_compared_nothing_are_a_failure() -> None:
    result = spoilt(spoil_check(FRAMES, arm="cache=dynamic", compared=0))
    assert result.invalid == {"cache=dynamic": "invariant cache-parity compared nothing"}
    none = spoilt(replace(FRAMES, checks=()))
    assert verdicts(none) == ALL_INVALID


def test_an_invariant_that_crashed() -> None:
    row = replace(
        FRAMES.trials[0],
        purpose="check",
        task="cache-parity",
        arm="cache=dynamic",
        condition={},
        round=0,
        state="failed",
        error="out of memory",
    )
    others = tuple(c for c in FRAMES.checks if (c.arm, c.invariant) != ("cache=dynamic", "cache-parity"))
    result = spoilt(replace(FRAMES, trials=(*FRAMES.trials, row), checks=others))
    assert result.invalid == {"cache=dynamic": "invariant cache-parity could not be checked: out of memory"}


def with_check_trials(frames: MemoryFrames) -> MemoryFrames:
    """The frames together with the trials that made the checks. Each of these trials notes how many checks it
    made.
    """
    made = Counter((check.invariant, check.arm) for check in frames.checks)
    rows = [
        replace(
            frames.trials[0],
            id=10_000 + number,
            purpose="check",
            task=invariant,
            arm=arm,
            condition={},
            round=0,
            outputs={},
            spent={},
            notes={"checks": checks},
        )
        for number, ((invariant, arm), checks) in enumerate(made.items())
    ]
    return replace(frames, trials=(*frames.trials, *rows))


def test_a_check_that_is_lost_is_missed() -> None:
    """The missing check may have been the one that failed. Trials of older code noted no number, so nothing
    is missing.
    """
    broken = (replace(FRAMES.checks[0], **BROKEN), *FRAMES.checks[1:])
    frames = with_check_trials(replace(FRAMES, checks=broken))
    arm = FRAMES.checks[0].arm
    result = spoilt(replace(frames, checks=broken[1:]))
    assert result.invalid[arm] == "invariant cache-parity: 1 of 2 checks are missing in the store"
    assert verdicts(result) == verdicts(spoilt(frames)) == ALL_INVALID
    assert spoilt(with_check_trials(FRAMES)).invalid == spoilt(FRAMES).invalid == {}


def less_work(frames: MemoryFrames, arm: str = "cache=dynamic") -> MemoryFrames:
    def wanted(trial: Any) -> bool:
        return bool(trial.arm == arm and trial.condition == {"new_tokens": "256"})

    return spoil_trials(frames, wanted, spent={"new_tokens": 64.0, "parameters": 660_000.0})


def test_different_work_is_a_confound_unless_it_is_declared() -> None:
    result = spoilt(less_work(FRAMES))
    why = "confound: new tokens at new tokens 256 is 64, but 512 for the baseline"
    assert result.invalid == {"cache=dynamic": why}
    assert claim(result, "kv-speedup").verdict == "invalid"
    assert why in claim(result, "kv-speedup").sentence
    declared = spoilt(less_work(FRAMES), parity={"differ": ["new_tokens"]})
    assert declared.invalid == {}
    assert verdicts(declared)["kv-speedup"] == "confirmed"
    odd = [row for row in declared.parity if not row.matches]
    assert [(row.arm, row.quantity, row.spent, row.declared) for row in odd] == [
        ("cache=dynamic", "new_tokens", 64, True)
    ]


def test_one_trial_of_another_size_is_a_confound() -> None:
    last = FRAMES.trials[-1]
    result = spoilt(
        spoil_trials(FRAMES, lambda t: t.id == last.id, spent={"new_tokens": 500.0, "parameters": 660_000.0})
    )
    assert result.invalid == {
        last.arm: "confound: new tokens at new tokens 256 differs between trials of the arm"
    }


def test_a_round_split_over_two_sessions_is_not_paired() -> None:
    frames = replace(FRAMES, samples=FRAMES.samples.copy())
    here = (frames.samples["round"] == 4) & (frames.samples["arm"] == "cache=dynamic")
    frames.samples.loc[here, "session"] = 2
    result = spoilt(frames)
    assert contrast(result).verdict == "invalid"
    assert contrast(result).reason == "round 4 was not run in one session"
    assert contrast(result, arm="cache=static").verdict == "better"
    assert verdicts(result)["kv-speedup"] == verdicts(result)["kv-growth"] == "invalid"


def test_every_round_of_a_seed_is_a_pair_of_costs_and_each_needs_one_session() -> None:
    """Eight seeds in one round are eight pairs. Pairs may come from different sessions, but each pair from
    one. With two seeds the three rounds of each must agree, so six pairs do not decide what three cannot.
    """
    loaded = study(design={"seeds": 8, "rounds": 1}, across={"new_tokens": [256]}, claims={})
    frames = Planted(loaded=loaded).frames()
    frames.samples["session"] = frames.samples["seed"]
    result = contrast(analyse(loaded, frames))
    assert (result.n, result.verdict, [number for number, _ in result.pairs]) == (8, "better", [*range(1, 9)])
    samples = frames.samples.copy()
    samples.loc[(samples["seed"] == 5) & (samples["arm"] == "cache=dynamic"), "session"] = 9
    split = replace(frames, samples=samples)
    assert contrast(analyse(loaded, split)).reason == "round 1 of seed 5 was not run in one session"
    two = study(design={"seeds": 2, "rounds": 3}, across={"new_tokens": [256]}, claims={})
    result = contrast(Planted(loaded=two).analysis())
    assert (result.n, result.models, len(result.pairs)) == (3, 2, 6)
    assert (result.p, result.verdict) == (2 * 0.5**3, "undecided")


def test_whole_rounds_may_come_from_different_sessions() -> None:
    frames = replace(FRAMES, samples=FRAMES.samples.copy())
    frames.samples.loc[frames.samples["round"] > 4, "session"] = 2
    assert verdicts(spoilt(frames)) == verdicts(spoilt(FRAMES))


@pytest.mark.parametrize("value", [math.nan, 0.0, -1.0])
def test_a_value_that_has_no_ratio(value: float) -> None:
    frames = replace(FRAMES, samples=FRAMES.samples.copy())
    row = frames.samples.index[
        (frames.samples["metric"] == SPEED)
        & (frames.samples["arm"] == "cache=dynamic")
        & (frames.samples["new_tokens"] == "256")
    ][4]
    trial = frames.samples.loc[row, "trial"]
    frames.samples.loc[(frames.samples["trial"] == trial) & (frames.samples["metric"] == SPEED), "value"] = (
        value
    )
    result = spoilt(frames)
    reason = (
        "decode tokens per second of cache=dynamic is not a number in 1 trial"
        if math.isnan(value)
        else "decode tokens per second is zero or negative, so it has no ratio"
    )
    assert (contrast(result).verdict, contrast(result).reason) == ("invalid", reason)
    assert claim(result, "kv-speedup").sentence == f"The data do not allow a comparison: {reason}."


def test_a_trial_that_failed_for_good_makes_its_arm_not_count() -> None:
    lost = FRAMES.trials[-2]
    frames = spoil_trials(FRAMES, lambda t: t.id == lost.id, state="lost", error="killed by the kernel")
    frames = replace(frames, samples=frames.samples[frames.samples["trial"] != lost.id])
    result = spoilt(frames)
    assert result.invalid == {"cache=dynamic": "1 of 30 measurements did not finish (killed by the kernel)"}
    assert verdicts(result)["kv-speedup"] == "invalid"


def test_a_trial_that_counts_twice() -> None:
    again = FRAMES.samples[FRAMES.samples["trial"] == 2].assign(trial=10_000)
    result = spoilt(replace(FRAMES, samples=pd.concat([FRAMES.samples, again], ignore_index=True)))
    assert contrast(result, tokens=16).reason == "cache=dynamic has two results for the same trial"


def test_no_measurement_at_all_is_invalid_and_no_crash() -> None:
    result = spoilt(MemoryFrames(samples=FRAMES.samples.iloc[:0], trials=(), checks=FRAMES.checks))
    assert verdicts(result) == ALL_INVALID
    assert {c.verdict for c in result.contrasts} == {"invalid"}
    assert "30 of 30 measurements did not finish" in result.answer


WEAKER = {"invalid": 0, "undecided": 1}
STORED = {
    "sound": FRAMES,
    "borderline": Planted(ratio=flat(2.33 * 1.24), noise=0.01, seed=11).frames(),
    "faint": Planted(ratio=flat(1.015), noise=0.02, seed=5).frames(),
    "one broken": spoil_check(FRAMES, arm="cache=static", **BROKEN),
    "one check broken": replace(FRAMES, checks=(*FRAMES.checks[:-1], replace(FRAMES.checks[-1], **BROKEN))),
    "one confounded": spoil_trials(
        FRAMES, lambda t: t.id == 89, spent={"new_tokens": 1.0, "parameters": 660_000.0}
    ),
}
SCENES = {name: with_check_trials(frames) for name, frames in STORED.items()}
BEFORE = {name: spoilt(frames) for name, frames in SCENES.items()}


def assert_not_stronger(before: Analysis, after: Analysis) -> None:
    pairs = [(old.verdict, new.verdict) for old, new in zip(before.claims, after.claims, strict=True)] + [
        (old.verdict, new.verdict) for old, new in zip(before.contrasts, after.contrasts, strict=True)
    ]
    for old, new in pairs:
        assert new == old or WEAKER.get(new, 9) < WEAKER.get(old, 9), f"{old} became {new}"


@settings(max_examples=40)
@given(scene=st.sampled_from(sorted(SCENES)), number=st.integers(0, 10**6))
def test_losing_a_sample_strengthens_nothing(scene: str, number: int) -> None:
    frames = SCENES[scene]
    row = frames.samples.index[number % len(frames.samples)]
    assert_not_stronger(BEFORE[scene], spoilt(replace(frames, samples=frames.samples.drop(index=row))))


@settings(max_examples=25)
@given(scene=st.sampled_from(sorted(SCENES)), number=st.integers(0, 10**6))
def test_losing_a_trial_strengthens_nothing(scene: str, number: int) -> None:
    frames = SCENES[scene]
    lost = frames.trials[number % len(frames.trials)]
    others = tuple(trial for trial in frames.trials if trial is not lost)
    assert_not_stronger(BEFORE[scene], spoilt(replace(frames, trials=others)))
    samples = frames.samples[frames.samples["trial"] != lost.id]
    assert_not_stronger(BEFORE[scene], spoilt(replace(frames, trials=others, samples=samples)))


@settings(max_examples=25)
@given(scene=st.sampled_from(sorted(SCENES)), number=st.integers(0, 10**6))
def test_losing_a_check_strengthens_nothing(scene: str, number: int) -> None:
    frames = SCENES[scene]
    lost = frames.checks[number % len(frames.checks)]
    others = tuple(check for check in frames.checks if check is not lost)
    assert_not_stronger(BEFORE[scene], spoilt(replace(frames, checks=others)))


def test_the_scenes_deserve_their_names() -> None:
    assert verdicts(BEFORE["sound"])["kv-speedup"] == "confirmed"
    assert BEFORE["one confounded"].invalid
    assert "(2 of 2" not in BEFORE["one check broken"].invalid["cache=static"]
    assert growing("dynamic", 256) == pytest.approx(2.33)

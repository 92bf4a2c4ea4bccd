"""Parity: every counted quantity must match under every condition; seconds and FLOPs only if the study lists
them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.results import Analysis
from harness.store.rows import TrialRow
from harness.tasks.work import Amount
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import Planted, claim, spoil_trials, study

FRAMES = Planted().frames()


def analysed(factor: float, *, parity: dict[str, Any] | None = None, **more: Any) -> Analysis:
    """The analysis if the trials of the dynamic cache take `factor` times as long, by their own notes."""
    loaded = study(**({"parity": parity} if parity else {}), **more)

    def dynamic(trial: TrialRow) -> bool:
        return trial.arm == "cache=dynamic"

    noted = spoil_trials(FRAMES, lambda _: True, notes={"work_seconds": 2.0})
    return analyse(loaded, spoil_trials(noted, dynamic, notes={"work_seconds": 2.0 * factor}))


def seconds(result: Analysis) -> set[tuple[str, Amount, bool, bool]]:
    return {
        (row.arm, row.spent, row.matches, row.enforced) for row in result.parity if row.quantity == "seconds"
    }


def test_seconds_are_reported_for_every_arm_and_condition_and_never_enforced_by_default() -> None:
    result = analysed(3.0)
    assert result.invalid == {}
    assert ("cache=dynamic", 6.0, False, False) in seconds(result)
    assert ("cache=static", 2.0, True, False) in seconds(result)
    rows = [row for row in result.parity if row.quantity == "seconds"]
    assert len(rows) == len(Planted().loaded.arms) * len(Planted().loaded.conditions)


@pytest.mark.parametrize(
    ("factor", "margins", "verdict"),
    [
        (1.049, {}, "confirmed"),
        (1 / 1.049, {}, "confirmed"),
        (1.051, {}, "invalid"),
        (1 / 1.051, {}, "invalid"),
        (1.15, {"time": 0.2}, "confirmed"),
    ],
)
def test_seconds_match_within_the_margin_for_time_where_the_study_asks_for_it(
    factor: float, margins: dict[str, float], verdict: str
) -> None:
    result = analysed(factor, parity={"match": ["seconds"]}, margins=margins)
    assert claim(result, "kv-speedup").verdict == verdict
    why = result.invalid.get("cache=dynamic", "")
    assert why.startswith("confound: seconds at new tokens 16 is") == (verdict == "invalid")


def test_a_quantity_that_must_match_makes_an_arm_with_less_work_invalid() -> None:
    assert analysed(1.0, parity={"match": ["new_tokens"]}).invalid == {}
    less = spoil_trials(
        FRAMES, lambda t: t.arm == "cache=static", spent={"new_tokens": 1.0, "parameters": 660_000.0}
    )
    result = analyse(study(parity={"match": ["new_tokens"]}), less)
    assert set(result.invalid) == {"cache=static"}


@pytest.mark.parametrize("tokens", [16, 64, 256])
def test_a_difference_in_one_condition_is_reported_with_that_condition(tokens: int) -> None:
    frames = spoil_trials(
        FRAMES,
        lambda t: t.arm == "cache=static" and t.condition == {"new_tokens": str(tokens)},
        spent={"new_tokens": 7.0, "parameters": 660_000.0},
    )
    result = analyse(study(), frames)
    assert list(result.invalid) == ["cache=static"]
    assert f"confound: new tokens at new tokens {tokens} is 7, but" in result.invalid["cache=static"]
    odd = [row for row in result.parity if row.confounds]
    assert [json.dumps(row.condition) for row in odd] == [json.dumps({"new_tokens": str(tokens)})]


def test_work_that_an_arm_does_not_count_is_no_match() -> None:
    frames = spoil_trials(FRAMES, lambda t: t.arm == "cache=static", spent={"parameters": 660_000.0})
    result = analyse(study(), frames)
    assert "confound: new tokens at new tokens 16 is 0, but" in result.invalid["cache=static"]


def test_seconds_that_were_not_recorded_are_not_reported() -> None:
    frames = replace(FRAMES, trials=tuple(replace(t, seconds=None) for t in FRAMES.trials))
    assert {row.quantity for row in analyse(study(), frames).parity} == {"new_tokens", "parameters"}


def test_flops_that_trials_count_are_reported_and_match_where_the_study_asks_for_it() -> None:
    def spent(arm: str) -> dict[str, float]:
        return {"updates": 30.0, "flops": 1.5e9 if arm == LION else 1e9}

    for parity, invalid in ({}, set()), ({"match": ["flops"]}, {LION}):
        learned = Learned(loaded=training_study(parity=parity), spent=spent)
        result = learned.analysis()
        rows = [row for row in result.parity if row.quantity == "flops"]
        assert [(row.spent, row.matches) for row in rows] == [(1e9, True), (1.5e9, False)]
        assert set(result.invalid) == invalid


def of_translations(*, more: int = 0, seed: int = 5, diverged: int | None = None) -> Analysis:
    """Sentences of similar length make batches with different numbers of tokens for each seed. For one seed,
    the second arm gets `more` tokens.
    """
    learned = Learned(lost=lambda arm, trial_seed: arm == LION and trial_seed == diverged)
    frames = learned.frames()
    trials = []
    for trial in frames.trials:
        extra = more if (trial.arm, trial.seed) == (LION, seed) else 0
        counted = {"updates": 30.0, "training_tokens": 30_000.0 + trial.seed + extra}
        trials.append(trial if trial.notes.get("diverged") else replace(trial, spent=counted))
    return analyse(learned.loaded, replace(frames, trials=tuple(trials)))


LION = "optimizer=lion"


def test_work_that_differs_from_seed_to_seed_matches_where_every_arm_has_the_same_for_a_seed() -> None:
    result = of_translations()
    assert result.invalid == {}
    rows = [row for row in result.parity if row.quantity == "training_tokens"]
    assert {(row.spent, row.baseline_spent, row.matches) for row in rows} == {(30_007.0, 30_007.0, True)}


def test_one_seed_with_other_work_is_reported_though_another_seed_has_as_much() -> None:
    result = of_translations(more=1)
    assert "training tokens is 30,006, but 30,005 for the baseline" in result.invalid[LION]
    (row,) = (row for row in result.parity if row.arm == LION and row.quantity == "training_tokens")
    assert (row.spent, row.baseline_spent, row.matches) == (30_006.0, 30_005.0, False)


def test_a_seed_that_diverged_in_one_arm_is_not_compared() -> None:
    assert of_translations(diverged=7).invalid == {}
    assert LION in of_translations(diverged=7, more=1).invalid

"""Loops that keep what looks better: the rules, and what each of them keeps."""

from __future__ import annotations

import numpy as np
import pytest

from harness.calibrate import loops
from harness.calibrate.loops import (
    BelowOnce,
    BelowTheBest,
    Judged,
    JudgedTwice,
    LoopResult,
    compare_loops,
    judged_word,
)

SCATTER = np.exp(0.005 * np.array([-1.2, 0.4, 0.9, -0.3, 0.1, 1.4, -0.8, -0.5]))


def test_the_words_are_those_of_the_judge() -> None:
    other = SCATTER[::-1]
    words = [judged_word(SCATTER, factor * other) for factor in (0.97, 1.0, 1.03)]
    assert words == ["better", "equivalent", "worse"]
    assert judged_word(SCATTER, 0.97 * other**30) == "undecided"


def test_without_scatter_every_rule_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "NOTHING", 3)
    monkeypatch.setattr(loops, "GAINS", 3)
    results = compare_loops(1, processes=1, scatters=(1e-6,))
    assert [one.rule for one in results] == [rule.name for rule in loops.RULES]
    assert [one.gains_found for one in results] == [3, 3, 3, 3]
    assert [one.false_kept for one in results[2:]] == [0, 0]


@pytest.mark.parametrize(("rule", "trainings"), [(BelowTheBest, 2), (BelowOnce, 2), (Judged, 16)])
def test_a_rule_counts_what_it_trains(rule: type[loops.Rule], trainings: int) -> None:
    made = rule(np.random.default_rng(0), 0.01)
    made.keeps(1.0, 0.9)
    assert made.trainings == trainings


def test_only_what_looks_better_is_confirmed() -> None:
    rule = JudgedTwice(np.random.default_rng(0), 0.005)
    assert not rule.keeps(1.0, 1.0)
    assert rule.trainings == 16
    assert rule.keeps(1.0, 0.9)
    assert rule.trainings == 16 + 32


def test_what_was_kept_is_the_current_version_from_then_on() -> None:
    seen: list[tuple[float, float]] = []

    def keeps(current: float, changed: float) -> bool:
        seen.append((current, changed))
        return len(seen) == 1

    assert loops._count_kept(keeps, 3, 0.5) == 1
    assert seen == [(1.0, 0.5), (0.5, 0.25), (0.5, 0.25)]


@pytest.mark.slow
def test_a_greedy_loop_keeps_noise_and_the_judge_does_not() -> None:
    results = {one.rule: one for one in compare_loops(3, processes=2, scatters=(0.005,))}
    judge, once, best = (results[rule.name] for rule in (Judged, BelowOnce, BelowTheBest))
    assert judge.false_kept <= 1 < best.false_kept < once.false_kept
    assert judge.gains_found >= 18
    assert isinstance(judge, LoopResult)

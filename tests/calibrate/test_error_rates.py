"""False alarms, false equivalences and power of the whole analysis, and that a wrong analysis is detected."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import repeat

import pytest

from harness.calibrate.error_rates import (
    MARGIN,
    FalseAlarms,
    attainable_size,
    expected,
    false_alarms,
    power,
)
from harness.calibrate.noise import Residuals, shipped_residuals
from harness.calibrate.simulate import DISTURBANCES, Disturbance, Simulation, simulate
from harness.statistics import Interval, Replicates
from harness.study.loaded import Study
from harness.study.planning import sequence
from harness.study.planning.sequence import balanced_sequence


@pytest.mark.parametrize(("studies", "bounds"), [(1000, (32, 67)), (200, (3, 18)), (1, (0, 1))])
def test_the_bounds_follow_from_the_size_of_the_test(studies: int, bounds: tuple[int, int]) -> None:
    assert expected(studies, attainable_size(10)) == bounds
    assert expected(1000, 0.05) == (33, 69)


def test_the_size_is_the_largest_one_that_the_exact_test_can_have() -> None:
    """6 pairs reject with 2 of 64 choices of signs; 10 pairs with 50 of 1,024."""
    assert attainable_size(6) == 2 / 64
    assert attainable_size(10) == 50 / 1024
    assert attainable_size(5, sides=1) == 1 / 32


@pytest.mark.parametrize("arms", [2, 4, 5])
@pytest.mark.parametrize("disturbance", DISTURBANCES, ids=lambda one: one.name)
def test_noise_that_follows_the_order_of_trials(disturbance: Disturbance, arms: int) -> None:
    alarms = false_alarms(shipped_residuals(), 20, arms=arms, disturbance=disturbance)
    assert alarms.within, alarms


def test_a_disturbance_that_always_hits_the_same_arm_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order A B, A B, A B the second trial follows the first arm always."""
    monkeypatch.setattr(sequence, "_orders", lambda labels: repeat(tuple(range(len(labels)))))
    worse = Disturbance(name="carry-over of 80 %", after_second=0.8)
    balanced_sequence.cache_clear()
    with pytest.raises(AssertionError, match="ran after"):
        false_alarms(shipped_residuals(), 1, disturbance=worse)
    balanced_sequence.cache_clear()


def test_a_baseline_compared_with_itself_on_a_drifting_machine() -> None:
    alarms = false_alarms(shipped_residuals(), 200)
    assert alarms.within, alarms
    assert alarms.source.startswith("shipped")


def test_an_effect_of_the_margin_is_not_equivalent_and_twice_the_margin_is_detected() -> None:
    result = power(shipped_residuals(), at_margin=60, planted=20)
    assert result.within, result
    assert result.rounds_with_power == math.ceil(
        9 * shipped_residuals().scatter() ** 2 / math.log1p(MARGIN) ** 2
    )


def test_a_count_outside_either_bound_is_wrong() -> None:
    alarms = FalseAlarms(
        studies=1000, excluding_zero=33, equivalent=0, rounds=10, bounds=expected(1000, 0.05), source=""
    )
    assert [replace(alarms, excluding_zero=count).within for count in (32, 33, 69, 70)] == [
        False,
        True,
        True,
        False,
    ]


def test_intervals_that_are_too_narrow_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Replicates.interval

    def narrow(samples: Replicates, level: float, *, ties: bool = False) -> Interval:
        interval = honest(samples, level, ties=ties)
        half = (interval.high - interval.low) / 5
        return Interval(samples.estimate - half, samples.estimate + half, level)

    monkeypatch.setattr(Replicates, "interval", narrow)
    alarms = false_alarms(shipped_residuals(), 100)
    assert alarms.excluding_zero > alarms.bounds[1]


def test_a_margin_of_equivalence_that_is_too_wide_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "margin", lambda *_: 2 * MARGIN)
    assert not power(shipped_residuals(), at_margin=20, planted=2).within


def test_without_noise_every_verdict_is_right() -> None:
    quiet = Residuals(source="", rounds=(((0.0,), (0.0,)),))
    same = simulate(Simulation(residuals=quiet, rounds=10), 10, processes=1)
    assert sum(verdict.detected for verdict in same) == 0
    planted = simulate(Simulation(residuals=quiet, rounds=10, effect=math.log(2)), 10, processes=1)
    assert all(one.detected and one.excludes_zero and not one.equivalent for one in planted)


def test_the_number_of_processes_does_not_change_the_studies() -> None:
    simulation = Simulation(residuals=shipped_residuals(), rounds=10, effect=0.05)
    alone = simulate(simulation, 4, processes=1)
    assert sorted(map(str, simulate(simulation, 4, processes=2))) == sorted(map(str, alone))

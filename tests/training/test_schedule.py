"""Schedules: their values where they are known, and their shape everywhere."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.training.schedule import (
    ConstantSchedule,
    CosineSchedule,
    InverseSquareRootSchedule,
    LearningRateScaling,
    LinearSchedule,
    Schedule,
    WarmupStableDecaySchedule,
)

CASES = st.tuples(st.integers(0, 50), st.integers(2, 200), st.floats(0.0, 1.0, allow_subnormal=False)).map(
    lambda case: (CosineSchedule(warmup=case[0], floor=case[2]), case[0] + case[1])
)


@given(CASES)
def test_it_rises_to_one_over_the_warm_up_and_falls_to_the_floor(case: tuple[CosineSchedule, int]) -> None:
    schedule, updates = case
    factors = [schedule.factor(update, updates) for update in range(updates)]
    rising, falling = factors[: schedule.warmup], factors[schedule.warmup :]
    assert rising == [(update + 1) / schedule.warmup for update in range(schedule.warmup)]
    assert falling[0] == 1.0
    assert falling[-1] == pytest.approx(schedule.floor, abs=1e-15)
    assert all(later <= sooner for sooner, later in itertools.pairwise(falling))


def test_half_way_down_it_is_half_way_between_one_and_the_floor() -> None:
    schedule = CosineSchedule(warmup=10, floor=0.2)
    assert schedule.factor(10 + 50, 111) == pytest.approx(0.6)
    assert schedule.factor(10 + 25, 111) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)


def test_a_run_that_is_all_warm_up_never_passes_one() -> None:
    schedule = CosineSchedule(warmup=4)
    assert [schedule.factor(update, 4) for update in range(4)] == [0.25, 0.5, 0.75, 1.0]


SCHEDULES: list[Schedule] = [
    ConstantSchedule(warmup=5),
    CosineSchedule(warmup=5, flat=10, floor=0.1),
    LinearSchedule(warmup=5),
    InverseSquareRootSchedule(warmup=5),
    WarmupStableDecaySchedule(warmup=5, decay=20),
    WarmupStableDecaySchedule(warmup=5, decay=20, shape="1-sqrt", floor=0.2),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.kind)
def test_every_schedule_warms_up_to_one_and_never_rises_again(schedule: Schedule) -> None:
    factors = [schedule.factor(update, 60) for update in range(60)]
    assert factors[:5] == [0.2, 0.4, pytest.approx(0.6), 0.8, 1.0]
    assert all(0 <= later <= sooner <= 1 for sooner, later in itertools.pairwise(factors[4:]))


def source_003(t: int, lr_min: float, warmup: int, flat: int, end: int) -> float:
    """Source 003's code, with a peak of 1; `flat` and `end` are places, not lengths."""
    if t < flat:
        return 1.0
    if t < end:
        return lr_min + 0.5 * (1 + math.cos((t - flat) / (end - flat) * math.pi)) * (1 - lr_min)
    return lr_min


def test_cosine_with_a_flat_part_is_that_of_source_003() -> None:
    schedule = CosineSchedule(warmup=5, flat=10, floor=0.1)
    for update in range(5, 60):
        assert schedule.factor(update, 60) == pytest.approx(source_003(update, 0.1, 5, 15, 59))


def test_known_values() -> None:
    inverse = InverseSquareRootSchedule(warmup=100)
    assert [inverse.factor(update, 10**4) for update in (99, 399, 9999)] == pytest.approx([1.0, 0.5, 0.1])
    stable = WarmupStableDecaySchedule(decay=4, floor=0.2)
    assert [stable.factor(update, 10) for update in range(5, 10)] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    root = WarmupStableDecaySchedule(decay=4, shape="1-sqrt")
    assert root.factor(6, 10) == pytest.approx(0.5)
    assert root.factor(9, 10) == 0.0
    line = LinearSchedule(floor=0.5)
    assert [line.factor(update, 5) for update in range(5)] == pytest.approx([1, 0.875, 0.75, 0.625, 0.5])
    assert ConstantSchedule().factor(3, 4) == 1.0


def test_the_least_run_holds_every_part() -> None:
    assert [schedule.least_updates for schedule in SCHEDULES] == [5, 15, 5, 5, 25, 25]


@pytest.mark.parametrize(("rule", "factor"), [("none", 1.0), ("linear", 4.0), ("sqrt", 2.0)])
def test_learning_rates_follow_the_batch(rule: str, factor: float) -> None:
    scaling = LearningRateScaling.read({"rule": rule, "batch": 8})
    assert scaling.factor(32) == factor
    assert scaling.factor(8) == 1.0

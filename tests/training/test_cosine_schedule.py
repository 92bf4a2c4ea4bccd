"""The schedule's values where they are known, and its shape everywhere."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.training.schedule import CosineSchedule

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

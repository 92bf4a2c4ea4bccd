"""Every double of a trial is read back bit for bit: divergence is data, and so is the sign of zero."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.store.rows import Run
from harness.store.store import Store
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

NewTrial = Callable[[list[float]], int]
EXTREMES = [
    math.nan,
    math.inf,
    -math.inf,
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    1e308,
    -1e308,
    2.0**53 + 2,
    1.0,
    -1.0,
    0.1,
]


def bits(value: float) -> bytes:
    """One pattern for all NaNs: their payload means nothing."""
    return struct.pack(">d", math.nan if math.isnan(value) else value)


@pytest.fixture
def run(store: Store, new_run: Callable[..., Run]) -> Run:
    """With more trials than any test here makes."""
    return new_run(store, seeds=range(1000))


@pytest.fixture
def finish(store: Store, run: Run, spec: Callable[[int], TrialSpec]) -> NewTrial:
    seeds = itertools.count()
    session = store.open_session(run, {})

    def one(values: list[float]) -> int:
        attempt_id = store.begin_trial(run, session, spec(next(seeds)), position=0)
        samples = tuple(Sample("loss", step, value) for step, value in enumerate(values))
        store.finish_trial(attempt_id, Outcome(status="finished", samples=samples), seconds=1.0)
        return attempt_id

    return one


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(EXTREMES)
@given(st.lists(st.floats(), max_size=30))
def test_samples_come_back_bit_for_bit(store: Store, run: Run, finish: NewTrial, values: list[float]) -> None:
    attempt_id = finish(values)
    back = [row for row in store.samples(run) if row.trial_id == attempt_id]
    assert [row.step for row in back] == list(range(len(values)))
    assert [bits(row.value) for row in back] == [bits(value) for value in values]


def test_whole_numbers_come_back_as_floats(store: Store, run: Run, finish: NewTrial) -> None:
    finish([3])
    [row] = store.samples(run)
    assert (type(row.value), row.value) == (float, 3.0)

"""Rows in pieces: groups of attempts, and metrics whose names have a meaning in SQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from harness.store.engine import reading
from harness.store.pieces import ATTEMPTS_AT_ONCE, SampleCount, driver_rows, groups, sample_counts
from harness.store.rows import Run, Session
from harness.store.store import Store
from harness.store.tables import samples
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

ODD_NAMES = ("50 % 'of' it", 'a"b', "%s", ":name", "ü")


def test_a_group_has_as_many_attempts_as_fit_and_each_attempt_is_in_one() -> None:
    assert list(groups({3: 5, 1: 5, 2: 6, 4: 1, 5: 30, 6: 1}, 10)) == [[1], [2], [3, 4], [5], [6]]
    many = groups(dict.fromkeys(range(2 * ATTEMPTS_AT_ONCE + 1), 1), 10**9)
    assert [len(group) for group in many] == [ATTEMPTS_AT_ONCE, ATTEMPTS_AT_ONCE, 1]
    assert list(groups({}, 10)) == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_metrics_with_any_name_are_read(
    store: Store, run: Run, session: Session, spec: Callable[[int], TrialSpec], name: str
) -> None:
    begun = store.begin_trial(run, session, spec(0), position=0)
    measured = (Sample(name, 0, 0.5), Sample(name, 7, 1.5), Sample("loss", 0, 2.0))
    store.finish_trial(begun, Outcome(status="finished", samples=measured), seconds=1.0)
    with reading(store._engine) as connection:
        assert set(sample_counts(connection, [begun])) == {
            SampleCount(begun, name, 2),
            SampleCount(begun, "loss", 1),
        }
        query = select(samples.c.step, samples.c.value).where(samples.c.metric == name)
        assert driver_rows(connection, query.order_by(samples.c.step)) == [(0, 0.5), (7, 1.5)]
    assert store.chain(run).problems == ()

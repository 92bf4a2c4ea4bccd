"""Several drivers on one run of a PostgreSQL database: who has a trial, who works, and who is fenced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from harness.errors import HarnessError, StoreError, StoreLostError
from harness.store import database, heartbeat
from harness.store.drivers import LEASE_SECONDS, Drivers
from harness.store.engine import make_engine, parse_location, reading, writing
from harness.store.failures import TrialTakenError
from harness.store.rows import Run, Session
from harness.store.store import Store, open_store
from harness.store.tables import sessions
from harness.trial.outcome import Outcome
from harness.trial.spec import TrialSpec
from tests.support.stored_run import trial

FINISHED = Outcome(status="finished")
ELSEWHERE = {"host": "node7", "machine": "another boot", "pid": 12, "started": 1}
DRIVER = """
import sys
from harness.store.store import open_store
with open_store(sys.argv[1]) as store:
    store.open_session(store.runs()[0], {}, shared=True)
    print("works", flush=True)
    sys.stdin.read()
"""


class Clock:
    """A clock that goes on by `step` with every look."""

    def __init__(self, step: float = 0.0) -> None:
        self.seconds, self.step = 0.0, step

    def __call__(self) -> float:
        self.seconds += self.step
        return self.seconds


@pytest.fixture
def two(postgres_url: str) -> Iterator[tuple[Store, Store]]:
    """The stores of two drivers."""
    with open_store(postgres_url) as first, open_store(postgres_url) as second:
        yield first, second


@pytest.fixture
def run(two: tuple[Store, Store], new_run: Callable[..., Run]) -> Run:
    return new_run(two[0], seeds=range(40))


def begin(store: Store, run: Run, session: Session, spec: TrialSpec) -> int:
    return store.begin_trial(run, session, spec, position=spec.seed)


def from_elsewhere(url: str, session: Session) -> None:
    """Say that the driver of a session runs on another machine."""
    engine = make_engine(parse_location(url))
    with writing(engine) as connection:
        elsewhere = update(sessions).where(sessions.c.id == session.id)
        connection.execute(elsewhere.values(host="node7", pid=12, process=ELSEWHERE))
    engine.dispose()


def beat(url: str, session: Session) -> None:
    engine = make_engine(parse_location(url))
    with writing(engine) as connection:
        of_session = update(sessions).where(sessions.c.id == session.id)
        connection.execute(of_session.values(beats=sessions.c.beats + 1))
    engine.dispose()


def test_a_trial_belongs_to_the_driver_that_begins_it_first(two: tuple[Store, Store], run: Run) -> None:
    first, second = two
    mine, other = (store.open_session(run, {}, shared=True) for store in two)
    running, finished, failed = (begin(first, run, mine, trial(seed)) for seed in range(3))
    first.finish_trial(finished, FINISHED, seconds=1.0)
    first.finish_trial(failed, Outcome(status="failed"), seconds=1.0)
    for seed in range(3):
        with pytest.raises(TrialTakenError):
            begin(second, run, other, trial(seed))
    begin(second, run, other, trial(3))
    begin(first, run, mine, trial(2))  # who has tried it may try it again
    first.finish_trial(running, Outcome(status="lost"), seconds=1.0)
    assert second.waits_for_others(other, [mine], tries=2)
    first.close_session(mine)
    assert second.other_drivers(other) == ()
    begin(second, run, other, trial(0))
    assert [(row.seed, row.attempt, row.state) for row in second.trials(run)] == [
        (0, 1, "lost"),
        (1, 1, "finished"),
        (2, 1, "failed"),
        (3, 1, "running"),
        (2, 2, "interrupted"),
        (0, 2, "running"),
    ]
    assert second.chain(run).problems == ()


@pytest.mark.parametrize(
    ("outcomes", "tries", "expected"),
    [
        ((None,), 2, True),
        (("lost",), 2, True),
        (("lost",), 1, False),
        (("lost", "lost"), 2, False),
        (("lost", None), 2, True),
        (("failed",), 2, False),
        (("finished",), 2, False),
    ],
)
def test_what_another_driver_has_begun_is_waited_for(
    two: tuple[Store, Store], run: Run, *, outcomes: tuple[str | None, ...], tries: int, expected: bool
) -> None:
    mine, other = (store.open_session(run, {}, shared=True) for store in two)
    for outcome in outcomes:
        attempt = begin(two[1], run, other, trial(0))
        if outcome is not None:
            two[1].finish_trial(attempt, Outcome(status=outcome), seconds=1.0)  # type: ignore[arg-type]
    assert two[0].waits_for_others(mine, [other], tries=tries) is expected
    assert not two[0].waits_for_others(mine, [], tries=tries)


def test_a_driver_that_is_silent_for_too_long_is_fenced(
    two: tuple[Store, Store], run: Run, postgres_url: str
) -> None:
    first, second = two
    clock = Clock()
    second._drivers = Drivers(clock)
    mine, other = (store.open_session(run, {}, shared=True) for store in two)
    attempt = begin(first, run, mine, trial(0))
    from_elsewhere(postgres_url, mine)
    assert [one.id for one in second.other_drivers(other)] == [mine.id]
    clock.seconds = LEASE_SECONDS - 1
    assert [one.id for one in second.other_drivers(other)] == [mine.id]
    beat(postgres_url, mine)
    clock.seconds = LEASE_SECONDS + 1
    assert [one.id for one in second.other_drivers(other)] == [mine.id], "it has said that it works"
    clock.seconds = 2 * LEASE_SECONDS + 1
    assert second.other_drivers(other) == ()
    again = begin(second, run, other, trial(0))
    with pytest.raises(StoreLostError, match=rf"process {os.getpid()} on .* has taken over run {run.id}"):
        first.finish_trial(attempt, FINISHED, seconds=1.0)
    first.close_session(mine)
    second.finish_trial(again, FINISHED, seconds=1.0)
    second.close_session(other)
    assert [row.state for row in second.trials(run)] == ["interrupted", "finished"]
    assert second.chain(run).problems == ()


def test_a_driver_that_was_killed_here_is_fenced_at_once(
    two: tuple[Store, Store], run: Run, postgres_url: str
) -> None:
    command = [sys.executable, "-c", DRIVER, postgres_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "works\n"
        with pytest.raises(StoreError, match=rf"process {killed.pid} on .* is already working on run"):
            two[0].open_session(run, {})
        mine = two[0].open_session(run, {}, shared=True)
        assert [one.pid for one in two[0].other_drivers(mine)] == [killed.pid]
        killed.kill()
        killed.wait()
        assert two[0].other_drivers(mine) == ()


@pytest.mark.parametrize("works", [True, False])
def test_who_must_be_alone_waits_until_it_is_certain_whether_a_driver_elsewhere_works(
    two: tuple[Store, Store], run: Run, postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, works: bool
) -> None:
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.0)
    other = two[1].open_session(run, {}, shared=True)
    from_elsewhere(postgres_url, other)
    notes: list[str] = []

    def note(message: str) -> None:
        notes.append(message)
        if works:
            beat(postgres_url, other)

    two[0]._drivers = Drivers(Clock(LEASE_SECONDS / 4))
    if works:
        with pytest.raises(StoreError, match=r"process 12 on node7 .* is already working on run"):
            two[0].open_session(run, {}, note)
    else:
        two[0].close_session(two[0].open_session(run, {}, note))
    [message] = notes
    assert message.startswith("waiting to see whether process 12 on node7")


def test_a_store_that_is_closed_lets_others_work(postgres_url: str, new_run: Callable[..., Run]) -> None:
    with open_store(postgres_url) as store:
        run = new_run(store)
        begin(store, run, store.open_session(run, {}), trial(0))
    with open_store(postgres_url) as store:
        store.close_session(store.open_session(run, {}))
        assert [row.state for row in store.trials(run)] == ["interrupted"]


def test_a_driver_says_again_and_again_that_it_works(
    postgres_url: str, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    with open_store(postgres_url) as store:
        run = new_run(store)
        session = store.open_session(run, {})
        engine = make_engine(parse_location(postgres_url))
        beats = 0
        while beats < 3:  # the test ends with its time limit if nothing beats
            with reading(engine) as connection:
                beats = connection.execute(select(func.max(sessions.c.beats))).scalar_one()
        engine.dispose()
        begin(store, run, session, trial(0))


def test_two_drivers_that_record_at_once_make_one_chain_and_no_trial_twice(
    two: tuple[Store, Store], run: Run
) -> None:
    def drive(store: Store) -> int:
        session, recorded = store.open_session(run, {}, shared=True), 0
        for seed in range(40):
            try:
                attempt = begin(store, run, session, trial(seed))
            except TrialTakenError:
                continue
            store.finish_trial(attempt, FINISHED, seconds=1.0)
            recorded += 1
        store.close_session(session)
        return recorded

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(drive, two)) == 40
    rows = two[0].trials(run, include_superseded=True)
    assert sorted((row.seed, row.attempt, row.state) for row in rows) == [
        (seed, 1, "finished") for seed in range(40)
    ]
    assert two[0].chain(run).problems == ()
    assert len(two[0].chain(run).digests) == 40


def test_two_drivers_that_start_at_once_make_one_run(
    two: tuple[Store, Store], new_run: Callable[..., Run]
) -> None:
    first = new_run(two[0])
    same = two[1].create_run(
        first.identity,
        study=first.study,
        study_json=first.study_json,
        study_source=first.study_source,
        environment=first.environment,
        trials=[],
        unless_there_is_one=True,
    )
    assert same == first


def test_an_attempt_without_its_trial_is_a_fault(two: tuple[Store, Store], run: Run) -> None:
    session = two[0].open_session(run, {})
    with pytest.raises(HarnessError, match="has no trial"):
        begin(two[0], run, session, trial(99))

"""What a running study does, read from a real store and from the file of events of its trial."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.experiment.watching import RunWatch, durations, running_now
from harness.run.scratch import Scratch, folder_of_driver
from harness.store.rows import AttemptTime
from harness.store.store import Store, open_store
from harness.trial.outcome import EventWriter, Outcome
from tests.support.stored_run import create, finish, trial

ARMS = ("none", "dynamic")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_store(tmp_path / "harness.db") as opened:
        yield opened


def test_a_run_is_running_while_its_session_is_open(store: Store) -> None:
    specs = [trial(seed, arm) for seed in range(2) for arm in ARMS]
    run = create(store, study="mine/speed", trials=specs)
    finish(store, run, specs[0])
    assert running_now(store, "mine") is None
    session = store.open_session(run, {})
    assert running_now(store, "mine") == (run, store.sessions(run)[-1])
    assert running_now(store, "mine/speed") is None
    store.close_session(session)
    assert running_now(store, "mine") is None


def test_the_states_of_arms_by_seed_and_the_trial_that_runs(store: Store) -> None:
    specs = [trial(seed, arm) for seed in range(3) for arm in ARMS]
    run = create(store, trials=specs)
    session = store.open_session(run, {})
    ends = [Outcome(status="finished"), Outcome(status="finished"), Outcome(status="failed", error="broke")]
    for position, (spec, outcome) in enumerate(zip(specs, ends, strict=False)):
        attempt = store.begin_trial(run, session, spec, position=position)
        store.finish_trial(attempt, outcome, seconds=2.0)
    store.begin_trial(run, session, specs[3], position=3)
    watch = RunWatch(store, run, session)
    scratch = Scratch()
    try:
        with (scratch.folder / f"{specs[3].id}.jsonl").open("w") as stream:
            events = EventWriter(stream)
            events.sample("loss", 3.0, 0)
            events.sample("loss", 2.0, 1)
            first = watch.look()
            events.sample("loss", 1.0, 2)
            now = watch.look()
    finally:
        scratch.remove()
    assert now.rows == {
        "none": (("finished",), ("failed",), ("planned",)),
        "dynamic": (("finished",), ("running",), ("planned",)),
    }
    assert (now.finished, now.failed, now.planned) == (2, 1, 6)
    assert first.trial
    assert now.trial
    assert (first.trial.curve, now.trial.curve) == ((3.0, 2.0), (3.0, 2.0, 1.0))
    assert now.trial.spec == specs[3]
    assert now.trial.reached
    assert (now.trial.reached.step, now.trial.reached.value) == (2, 1.0)
    assert now.left
    assert 0 < now.left.low < 6.0 < now.left.high
    store.close_session(session)


def test_a_plan_that_has_grown_is_read_again(store: Store) -> None:
    run = create(store, trials=[trial(0)])
    session = store.open_session(run, {})
    watch = RunWatch(store, run, session)
    assert watch.look().planned == 1
    store.extend_plan(run, [trial(1)])
    store.begin_trial(run, session, trial(1), position=0)
    assert watch.look().planned == 2
    store.close_session(session)


def test_the_folder_of_a_driver_is_that_of_its_process(store: Store) -> None:
    assert folder_of_driver(os.getpid()) is None
    scratch = Scratch()
    try:
        assert folder_of_driver(os.getpid()) == scratch.folder
        assert folder_of_driver(1) is None
    finally:
        scratch.remove()


def at(second: int, *, seconds: float = 2.0, session: int = 1, state: str = "finished") -> AttemptTime:
    moment = (
        f"2026-01-01T12:00:{second:02}.000000+00:00" if second < 60 else "2026-01-01T14:00:00.000000+00:00"
    )
    return AttemptTime(str(second), session, state, moment, seconds)  # type: ignore[arg-type]


def test_what_lies_between_two_trials_belongs_to_the_first_unless_the_driver_waited() -> None:
    attempts = [at(0), at(3), at(9, session=2), at(60, session=2), at(60, session=2, state="running")]
    assert list(durations(attempts)) == [("0", 3.0), ("3", 2.0), ("9", 2.0), ("60", 2.0)]
    assert list(durations([at(0), at(1)])) == [("0", 2.0), ("1", 2.0)]

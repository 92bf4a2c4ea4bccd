"""Drivers that die, and drivers that run at once: the store is whole before and after, and nothing counts
twice.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.pieces import AT_ONCE
from harness.store.rows import Run, SampleRow
from harness.store.store import open_store
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

DRIVER = """
import os, signal, sys
from sqlalchemy import Engine, event
from harness.invariants.base import Check
from harness.store.store import open_store
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

location, run_id, samples, die_at, times = sys.argv[1:]
left = int(times)

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(connection, cursor, statement, *_):
    global left
    left -= statement.startswith(die_at)
    if not left:
        die()

with open_store(location) as store:
    [run] = [run for run in store.runs() if run.id == run_id]
    session = store.open_session(run, {})
    zero = {"deviation": 0.0, "tolerance": 0.0}
    check = Check(case="c", precision="float64", passed=True, compared=1, skipped=0, **zero)
    outcome = Outcome(
        status="finished",
        checks=(check,),
        samples=tuple(Sample("loss", step, 0.5) for step in range(int(samples))),
    )
    for position, planned in enumerate(store.planned(run)):
        spec = TrialSpec.model_validate_json(planned.spec_json)
        attempt_id = store.begin_trial(run, session, spec, position=position)
        if die_at:
            if die_at == "COMMIT":
                event.listen(Engine, "commit", die)
            event.listen(Engine, "after_cursor_execute", die_after)
        store.finish_trial(attempt_id, outcome, seconds=1.0)
        if die_at == "END":
            die()
    store.close_session(session)
"""

HOLDER = """
import sys
from harness.store.store import open_store
store = open_store(sys.argv[1])
store.open_session(store.runs()[0], {})
print("held", flush=True)
sys.stdin.read()
"""


def drive(
    location: str, run: Run, *, samples: int = 10, die_at: str = "", times: int = 1
) -> subprocess.Popen[bytes]:
    """A driver of the whole run, in a process of its own; it kills itself right after as many statements that
    start with `die_at`.
    """
    arguments = [location, run.id, str(samples), die_at, str(times)]
    return subprocess.Popen([sys.executable, "-c", DRIVER, *arguments])


@pytest.mark.parametrize("die_at", ["INSERT INTO samples", "COMMIT", "END"])
def test_a_driver_killed_while_it_records_leaves_all_or_nothing(
    tmp_path: Path, new_run: Callable[..., Run], die_at: str
) -> None:
    path = tmp_path / "harness.db"
    # more than SQLite keeps in memory: part of it has reached the file before the transaction ends
    count = 100_000
    with open_store(path) as store:
        run = new_run(store, seeds=[0])
    before = path.stat().st_size
    times = count // AT_ONCE if die_at == "INSERT INTO samples" else 1
    assert drive(str(path), run, samples=count, die_at=die_at, times=times).wait(60) == -signal.SIGKILL
    if die_at == "INSERT INTO samples":
        assert path.stat().st_size > 4 * before
    with open_store(path) as store:
        recorded = die_at == "END"
        assert [row.status for row in store.trials(run)] == ["finished" if recorded else "running"]
        assert len(store.samples(run)) == (count if recorded else 0)
        assert len(store.checks(run)) == (1 if recorded else 0)

        session = store.open_session(run, {})
        [row] = store.trials(run)
        assert (row.state, row.error) == (
            ("finished", None) if recorded else ("interrupted", "interrupted: the driver ended first")
        )
        if not recorded:
            spec = TrialSpec.model_validate_json(row.spec_json)
            again = store.begin_trial(run, session, spec, position=0)
            store.finish_trial(
                again, Outcome(status="finished", samples=(Sample("loss", 0, 1.0),)), seconds=1.0
            )
            assert store.samples(run) == [SampleRow(again, "loss", 0, 1.0)]
        assert set(store.results(run)) == {row.spec_id}
        assert [closed.ended_at is None for closed in store.sessions(run)] == [True, True]


def test_two_drivers_record_at_once(location: str, new_run: Callable[..., Run]) -> None:
    with open_store(location) as store:
        runs = [new_run(store, seeds=range(25)) for _ in range(2)]
        drivers = [drive(location, run, samples=100) for run in runs]
        assert [driver.wait(60) for driver in drivers] == [0, 0]
        for run in runs:
            assert [row.status for row in store.trials(run)] == ["finished"] * 25
            assert len(store.samples(run)) == 2500


def test_two_processes_may_make_the_store_at_once(location: str) -> None:
    program = "import sys; from harness.store.store import open_store; open_store(sys.argv[1]).close()"
    makers = [subprocess.Popen([sys.executable, "-c", program, location]) for _ in range(2)]
    assert [maker.wait(60) for maker in makers] == [0, 0]
    with open_store(location) as store:
        assert store.runs() == []


def test_a_run_held_by_another_process_is_refused_with_its_pid(
    tmp_path: Path, new_run: Callable[..., Run]
) -> None:
    path = tmp_path / "harness.db"
    with open_store(path) as store:
        run = new_run(store)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match=rf"process {holder.pid} on .* is already working on run "):
            store.open_session(run, {})
        holder.kill()
        holder.communicate()
        store.close_session(store.open_session(run, {}))
    assert list(tmp_path.iterdir()) == [path]

"""A driver whose database goes away waits for it, loses nothing that was acknowledged, and writes nothing
twice.
"""

from __future__ import annotations

import itertools
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from harness.errors import StoreError, StoreLostError
from harness.store import database, engine
from harness.store.drivers import LEASE_SECONDS, Drivers
from harness.store.failures import DatabaseError, Trouble
from harness.store.rows import Artifact, Run, Session
from harness.store.samples import SampleReader
from harness.store.store import Store, open_store
from harness.trial.outcome import Outcome, Sample
from tests.support.postgres import PostgresServer
from tests.support.proxy import PORT, Proxy, proxy
from tests.support.stored_run import trial

AFTER_CRASH, AFTER_STOP = "immediate", "fast"
OUTCOME = Outcome(status="finished", samples=tuple(Sample("loss", step, 0.5) for step in range(3)))
LARGE = Outcome(status="finished", samples=tuple(Sample("loss", step, 0.5) for step in range(6_000)))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again does not wait. Whatever is not there again after a minute is given up."""
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(database, "WAIT_SECONDS", dict.fromkeys(database.WAIT_SECONDS, 60.0))
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)


@pytest.fixture
def give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for."""
    monkeypatch.setattr(database, "WAIT_SECONDS", dict.fromkeys(database.WAIT_SECONDS, 0.03))


class Notes(list[str]):
    """The notes for a person. The first one calls for `help`, whatever makes the database work again."""

    def __init__(self, help: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._help = help

    def __call__(self, note: str) -> None:
        self.append(note)
        if len(self) == 1:
            self._help()


def begin(store: Store, run: Run, session: Session, seed: int = 0) -> int:
    return store.begin_trial(run, session, trial(seed), position=seed)


def check_recorded(location: str, run: Run, *, samples: int = 3) -> None:
    """Two trials have finished, each in one attempt, and the chain agrees with them."""
    with open_store(location) as store:
        rows = store.trials(run, include_superseded=True)
        assert [(row.seed, row.attempt, row.state, row.position) for row in rows] == [
            (0, 1, "finished", 0),
            (1, 1, "finished", 1),
        ]
        assert len(store.samples(run)) == 2 * samples
        chain = store.chain(run)
        assert (len(chain.digests), chain.problems) == (2, ())
        assert [session.ended_at is None for session in store.sessions(run)] == [False]


def record_two(
    store: Store, run: Run, notes: Notes, spoil: Callable[[str], None], outcome: Outcome = OUTCOME
) -> None:
    """Record two trials as a driver does. `spoil` is called before each step with its name."""
    session = store.open_session(run, {}, notes)
    for seed in range(2):
        spoil(f"begin {seed}")
        attempt_id = begin(store, run, session, seed)
        spoil(f"finish {seed}")
        store.finish_trial(attempt_id, outcome, seconds=1.0)
    spoil("read")
    assert len(store.results(run, ("loss",))) == 2
    spoil("close")
    store.close_session(session)


def only(step: str, spoil: Callable[[], object]) -> Callable[[str], None]:
    def spoiling(name: str) -> None:
        if name == step:
            spoil()

    return spoiling


STEPS = ["begin 0", "finish 0", "begin 1", "finish 1", "read", "close"]


@pytest.mark.parametrize("mode", [AFTER_CRASH, AFTER_STOP])
def test_a_server_that_was_stopped_is_waited_for(
    running_postgres: PostgresServer, postgres_url: str, new_run: Callable[..., Run], mode: str
) -> None:
    for step in ("finish 0", "begin 1", "read", "close") if mode == AFTER_CRASH else ("begin 0",):
        with open_store(postgres_url) as store:
            run = new_run(store)
            notes = Notes(running_postgres.start)
            record_two(store, run, notes, only(step, lambda: running_postgres.stop(mode)))
        assert "trying again for 60 s" in notes[0]
        assert "the store is there again after" in notes[-1]
        check_recorded(postgres_url, run)


def test_a_driver_whose_connection_was_lost_still_has_its_run(
    running_postgres: PostgresServer, postgres_url: str, new_run: Callable[..., Run]
) -> None:
    with open_store(postgres_url) as store, open_store(postgres_url) as other:
        run = new_run(store)
        session = store.open_session(run, {}, Notes(running_postgres.start))
        running_postgres.stop()
        begin(store, run, session)
        with pytest.raises(StoreError, match=rf"process {os.getpid()} on .* is already working on run"):
            other.open_session(run, {})


@pytest.fixture
def cut(running_postgres: PostgresServer) -> Iterator[Proxy]:
    with proxy(running_postgres.folder) as made:
        yield made


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_transaction_whose_answer_was_lost_is_recorded_once(
    cut: Proxy, postgres_url: str, new_run: Callable[..., Run], when: str
) -> None:
    through = f"{postgres_url}&port={PORT}"
    for step in ("begin 0", "finish 1", "close"):
        with open_store(through) as store:
            run = new_run(store)
            notes = Notes()
            record_two(store, run, notes, only(step, lambda: setattr(cut, "break_commit", when)))
        assert cut.break_commit == ""
        assert bool(notes) is (when == "before")
        check_recorded(postgres_url, run)


def test_whoever_has_taken_a_run_over_is_the_only_one_who_writes(
    cut: Proxy, postgres_url: str, new_run: Callable[..., Run]
) -> None:
    """The first driver was cut off, so nobody heard of it for longer than its lease."""
    with open_store(f"{postgres_url}&port={PORT}") as store, open_store(postgres_url) as other:
        run = new_run(store)
        session = store.open_session(run, {}, Notes())
        store.finish_trial(begin(store, run, session), OUTCOME, seconds=1.0)
        attempt_id = begin(store, run, session, seed=1)
        cut.cut()
        other._drivers = Drivers(itertools.count(0.0, LEASE_SECONDS).__next__)
        second = other.open_session(run, {}, shared=True)
        assert other.other_drivers(second) == ()
        again = begin(other, run, second, seed=1)
        cut.closed = False
        with pytest.raises(StoreLostError, match=rf"process {os.getpid()} on .* has taken over run {run.id}"):
            store.finish_trial(attempt_id, OUTCOME, seconds=1.0)
        store.close_session(session)
        other.finish_trial(again, OUTCOME, seconds=1.0)
        other.close_session(second)
        rows = other.trials(run)
        assert [(row.seed, row.state) for row in rows] == [
            (0, "finished"),
            (1, "interrupted"),
            (1, "finished"),
        ]
        assert other.chain(run).problems == ()


@pytest.mark.usefixtures("give_up")
def test_a_server_that_does_not_come_back_ends_the_run_with_a_code_of_its_own(
    running_postgres: PostgresServer, postgres_url: str, new_run: Callable[..., Run]
) -> None:
    with open_store(postgres_url) as store:
        run = new_run(store)
        session = store.open_session(run, {}, Notes())
        store.finish_trial(begin(store, run, session), OUTCOME, seconds=1.0)
        running_postgres.stop()
        try:
            with pytest.raises(StoreLostError, match=r"\(tried again for 30 ms\)") as caught:
                begin(store, run, session, seed=1)
            store.close_session(session)
        finally:
            running_postgres.start()
    assert caught.value.exit_code == 6
    assert "\n" not in str(caught.value)
    with open_store(postgres_url) as store:
        assert [row.state for row in store.trials(run)] == ["finished"]
        store.close_session(store.open_session(run, {}))


@contextmanager
def few_pages(path: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """SQLite itself refuses to let the file grow, with the error of a full disk."""
    most = 1 << 30

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {most}")

    def spoil() -> None:
        nonlocal most
        most = path.stat().st_size // 4096

    def relieve() -> None:
        nonlocal most
        most = 1 << 30

    for moment in ("connect", "checkout"):
        event.listen(Engine, moment, limit)
    try:
        yield spoil, relieve
    finally:
        for moment in ("connect", "checkout"):
            event.remove(Engine, moment, limit)


@contextmanager
def small_files(path: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """The system refuses to let any file grow beyond the size of the database: an error of the disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def spoil() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, before[1]))

    def relieve() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    try:
        yield spoil, relieve
    finally:
        relieve()


@contextmanager
def full_disk(path: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """A small disk, which a file of somebody else's fills."""
    disk, filler = path.parent, path.with_name("filler")
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this process may not mount a small disk")

    def spoil() -> None:
        filler.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize))

    try:
        yield spoil, filler.unlink
    finally:
        subprocess.run(["umount", disk], check=True)


@contextmanager
def other_writer(path: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Another program locks the database."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        yield lambda: other.execute("BEGIN EXCLUSIVE"), lambda: other.execute("ROLLBACK")
    finally:
        other.close()


HOLDER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    other.execute(line)
    print("done", flush=True)
"""


@contextmanager
def other_process(path: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """A program in a process of its own locks the database."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers, orders = process.stdout, process.stdin

        def order(statement: str) -> None:
            orders.write(f"{statement}\n")
            orders.flush()
            assert answers.readline() == "done\n"

        try:
            yield lambda: order("BEGIN EXCLUSIVE"), lambda: order("ROLLBACK")
        finally:
            process.kill()


@contextmanager
def moved_file(path: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Somebody moves the database away for a while."""
    elsewhere = path.with_name("elsewhere.db")
    yield lambda: path.rename(elsewhere), lambda: elsewhere.rename(path)


TROUBLES = {
    few_pages: "the disk is full; this step was not recorded",
    small_files: "the disk cannot be read or written; this step was not recorded",
    full_disk: "the disk is full; this step was not recorded",
    other_writer: "another program has locked the database",
    other_process: "another program has locked the database",
    moved_file: "the database is read-only",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder / "harness.db"


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_trouble_with_a_file_is_waited_for(
    path: Path, new_run: Callable[..., Run], trouble: Callable[..., Any]
) -> None:
    with trouble(path) as (spoil, relieve):
        with open_store(path) as store:
            run = new_run(store)
            notes = Notes(relieve)
            record_two(store, run, notes, only("finish 1", spoil), LARGE)
        assert TROUBLES[trouble] in notes[0]
        assert "the store is there again after" in notes[1]
        assert len(notes) == 2
        check_recorded(str(path), run, samples=len(LARGE.samples))


@pytest.mark.usefixtures("give_up")
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_trouble_that_stays_ends_the_run_and_keeps_what_was_recorded(
    path: Path, new_run: Callable[..., Run], trouble: Callable[..., Any]
) -> None:
    with trouble(path) as (spoil, relieve):
        with open_store(path) as store:
            run = new_run(store)
            notes = Notes()
            session = store.open_session(run, {}, notes)
            store.finish_trial(begin(store, run, session), LARGE, seconds=1.0)
            attempt_id = begin(store, run, session, seed=1)
            spoil()
            with pytest.raises(StoreLostError) as caught:
                store.finish_trial(attempt_id, LARGE, seconds=1.0)
            assert notes[0].startswith(f"{path}: {TROUBLES[trouble]}")
            assert str(caught.value).startswith(f"{path}: ")
            assert "(tried again for 30 ms)" in str(caught.value)
            assert path.exists() is (trouble is not moved_file)
            store.close_session(session)
        relieve()
        with open_store(path) as store:
            second = store.open_session(run, {})
            rows = [(row.seed, row.state) for row in store.trials(run)]
            assert rows == [(0, "finished"), (1, "interrupted")]
            assert len(store.samples(run)) == len(LARGE.samples)
            store.finish_trial(begin(store, run, second, seed=1), OUTCOME, seconds=1.0)
            store.close_session(second)
            assert store.chain(run).problems == ()


@pytest.mark.parametrize("step", STEPS)
def test_a_lock_is_waited_for_at_every_step(path: Path, new_run: Callable[..., Run], step: str) -> None:
    with other_writer(path) as (spoil, relieve), open_store(path) as store:
        run = new_run(store)
        notes = Notes(relieve)
        record_two(store, run, notes, only(step, spoil))
    assert len(notes) == 2
    check_recorded(str(path), run)


def test_results_of_which_a_part_could_not_be_read_are_read_again(
    path: Path, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store remembers which attempts it has read."""
    read = SampleReader.attempt_values
    troubles: list[Trouble] = ["disk"]

    def broken(*arguments: Any) -> Any:
        if troubles:
            error = DatabaseError("broken")
            error.trouble = troubles.pop()
            raise error
        return read(*arguments)

    monkeypatch.setattr(SampleReader, "attempt_values", broken)
    with open_store(path) as store:
        record_two(store, new_run(store), Notes(), only("", print))
    assert troubles == []


def test_without_an_open_session_nothing_is_waited_for(path: Path, new_run: Callable[..., Run]) -> None:
    with other_writer(path) as (spoil, relieve), open_store(path) as store:
        run = new_run(store)
        spoil()
        with pytest.raises(StoreError, match="another program has locked the database"):
            store.runs()
        relieve()
        assert store.runs() == [run]


def test_whoever_interrupts_the_waiting_does_not_wait_again(
    path: Path, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    with other_writer(path) as (spoil, relieve), open_store(path) as store:
        run = new_run(store)
        notes = Notes()
        session = store.open_session(run, {}, notes)
        spoil()
        monkeypatch.setattr("time.sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            begin(store, run, session)
        store.close_session(session)
        assert len(notes) == 1
        relieve()


def interrupted(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_a_driver_whose_lock_file_was_taken_away_writes_nothing_more(
    path: Path, new_run: Callable[..., Run]
) -> None:
    """As on a file system whose locks exclude nobody: the count in the database decides."""
    with open_store(path) as store, open_store(path) as other:
        run = new_run(store)
        session = store.open_session(run, {})
        begin(store, run, session)
        for lock in path.parent.glob("*.lock"):
            lock.unlink()
        second = other.open_session(run, {})
        writes: list[Callable[[], object]] = [
            lambda: begin(store, run, session, seed=1),
            lambda: store.extend_plan(run, [trial(9)]),
            lambda: store.supersede(run, [1]),
            lambda: store.record_artifact(
                Artifact(kind="report", content_id="r", sha256="", path="", run_id=run.id)
            ),
        ]
        for write in writes:
            with pytest.raises(StoreLostError, match="has taken over run"):
                write()
        store.close_session(session)
        other.finish_trial(begin(other, run, second), OUTCOME, seconds=1.0)
        assert [(row.seed, row.state) for row in other.trials(run)] == [(0, "interrupted"), (0, "finished")]
        assert len(other.planned(run)) == 4
        other.close_session(second)

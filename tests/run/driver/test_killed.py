"""A driver that is killed at any point of its work with the store, and the one that goes on after it.

The points are those just before a statement, just before and just after a COMMIT, and inside of a COMMIT.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import psutil
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from harness.invariants.base import Check
from harness.machine.environment import Environment, environment
from harness.run.backends.base import Finished
from harness.run.driver import Driver
from harness.run.job import Job
from harness.run.processes import MARK, has_ended
from harness.run.programme import StudyProgramme
from harness.run.scratch import PREFIX, Scratch, sweep
from harness.store.rows import SampleRow, TrialRow
from harness.store.store import open_store
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.end_to_end.in_process import Notes, Scripted, obedient
from tests.end_to_end.workplace import Workplace
from tests.run.scene import Scene

BEFORE, DURING, AFTER, STATEMENT = (
    "before a COMMIT",
    "during a COMMIT",
    "after a COMMIT",
    "before a statement",
)
SERIAL = "serial"
Outputs = dict[str, dict[str, str]]
CHECK = Check(case="c", precision="float64", passed=True, compared=1, skipped=0, deviation=0.0, tolerance=0.0)


class Point(NamedTuple):
    """The n-th step of this kind, counted from 0. A COMMIT counts if it ends a transaction that may write."""

    kind: str
    number: int
    delay_us: int = 0
    """How long a COMMIT takes until the process is killed."""


class Steps:
    """Counts the steps of this process with databases, and kills the process at a point."""

    def __init__(self, fatal: Point | None) -> None:
        self._fatal = fatal
        self.counts: Counter[str] = Counter()
        self._writes = False
        event.listen(Engine, "before_cursor_execute", self._execute)
        commit: Any = SQLiteDialect_pysqlite.do_commit

        def do_commit(dialect: SQLiteDialect_pysqlite, connection: Any) -> None:
            writes, self._writes = self._writes, False
            if writes:
                self._step(BEFORE)
                self._step(DURING)
            commit(dialect, connection)
            if writes:
                self._step(AFTER)

        mock.patch.object(SQLiteDialect_pysqlite, "do_commit", do_commit).start()

    def _execute(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self._step(STATEMENT)
        self._writes = statement == "BEGIN IMMEDIATE" or (self._writes and statement != "BEGIN")

    def _step(self, kind: str) -> None:
        if self._fatal is not None and self._fatal[:2] == (kind, self.counts[kind]):
            if kind != DURING:
                os.kill(os.getpid(), signal.SIGKILL)
            # no code of this process runs then, as with SIGKILL
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, self._fatal.delay_us / 1e6)
        self.counts[kind] += 1


class Backend(Scripted):
    """With what a real backend has: a folder, and a process of a trial."""

    def __init__(self, decide: Callable[[Job], Outcome]) -> None:
        super().__init__(decide)
        sweep()
        self.scratch = Scratch()
        mark = {MARK: str(self.scratch.folder)}
        self.process = os.posix_spawn("/bin/sleep", ["sleep", "600"], mark)

    def close(self) -> None:
        self.scratch.remove()
        os.waitpid(self.process, 0)


@dataclass(kw_only=True)
class Said(Notes):
    """What a driver has begun, and the serial numbers of what it has recorded, each said at once."""

    say: Callable[[str], object]

    def trial(self, spec: TrialSpec) -> None:
        self.say(f"begun {spec.id}")

    def finished(self, spec: TrialSpec, finished: Finished) -> None:
        [sample] = [sample for sample in finished.outcome.samples if sample.metric == SERIAL]
        self.say(f"recorded {sample.value:.0f}")


class Heard(NamedTuple):
    begun: list[str]
    recorded: list[int]

    @classmethod
    def from_lines(cls, lines: list[str]) -> Heard:
        words = [line.split() for line in lines]
        return cls([w[1] for w in words if w[0] == "begun"], [int(w[1]) for w in words if w[0] == "recorded"])


def drive(scene: Scene, first: int, say: Callable[[str], object]) -> None:
    """Every trial records a sample with a serial number of its own."""
    serials = itertools.count(first)

    def decide(job: Job) -> Outcome:
        outcome = obedient(job)
        checks = (CHECK,) if job.spec.purpose == "check" else ()
        samples = (Sample(SERIAL, 0, float(next(serials))), Sample("other", 0, 1.0))
        return Outcome(status="finished", outputs=outcome.outputs, samples=samples, checks=checks)

    backend = Backend(decide)
    say(f"process {backend.process}")
    try:
        Driver(
            StudyProgramme(scene.loaded),
            scene.setting(),
            store=scene.store,
            backend=backend,
            listener=Said(say=say),
        ).run()
    finally:
        backend.close()


@dataclass(frozen=True)
class Killing:
    """Kills drivers of one study."""

    loaded: LoadedStudy
    here: Environment

    def child(self, folder: Path, fatal: Point | None) -> tuple[int, list[str]]:
        """The exit status of a driver with a process of its own, and what it said."""
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            status = 70
            try:
                steps = Steps(fatal)
                scene = Scene(folder, self.loaded, self.here)
                drive(scene, 0, lambda text: os.write(writer, f"{text}\n".encode()))
                scene.store.close()
                os.write(writer, "".join(f"{kind}={n}\n" for kind, n in steps.counts.items()).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            lines = pipe.read().splitlines()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lines

    def undisturbed(self, folder: Path) -> tuple[dict[str, int], Outputs]:
        """How many steps of each kind a driver takes that nobody kills, and the outputs of its trials."""
        code, lines = self.child(folder, None)
        assert code == 0
        counts = {kind: int(count) for kind, _, count in (line.partition("=") for line in lines) if count}
        scene = Scene(folder, self.loaded, self.here)
        with scene.store:
            return counts, {row.spec_id: row.outputs for row in scene.rows()}

    def check(self, folder: Path, point: Point, undisturbed: Outputs) -> None:
        code, lines = self.child(folder, point)
        assert code == -(signal.SIGALRM if point.kind == DURING else signal.SIGKILL)
        heard = Heard.from_lines(lines)
        said: list[str] = []
        scene = Scene(folder, self.loaded, self.here)
        with scene.store as store:
            drive(scene, 1000, said.append)
            rows, plan = scene.rows(superseded=True), scene.plan
            samples = store.samples(store.runs()[-1], include_superseded=True)
        again = Heard.from_lines(said)
        check_recorded(rows, samples, heard.recorded + again.recorded)
        with contextlib.closing(sqlite3.connect(folder / "harness.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

        ended = {row.spec_id: row.outputs for row in rows if row.state == "finished"}
        assert ended == undisturbed
        counts = Counter(row.spec_id for row in rows if row.state == "finished")
        assert set(counts.values()) == {1}
        assert not [row for row in rows if row.state == "running"]
        assert len({row.position for row in rows}) == len(rows)

        twice = {spec_id for spec_id, times in Counter(heard.begun + again.begun).items() if times > 1}
        rounds = [
            {lead_in.id, *(spec.id for spec in trials)}
            for lead_in, trials in zip(plan.lead_ins, plan.rounds, strict=True)
        ]
        assert len(twice) <= 1 or any(twice <= one for one in rounds)

        left = [int(line.split()[1]) for line in lines if line.startswith("process")]
        assert all(has_ended(psutil.Process(pid)) for pid in left if psutil.pid_exists(pid))
        assert {path.name for path in folder.iterdir()} == {"harness.db", "checkpoints"}
        assert not list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def check_recorded(rows: list[TrialRow], samples: list[SampleRow], serials: list[int]) -> None:
    """All that was recorded is in the store, whole and once. Nothing else is there as finished."""
    ended = {row.id for row in rows if "finished" in (row.state, row.superseded_state)}
    stored = {sample.trial_id: int(sample.value) for sample in samples if sample.metric == SERIAL}
    assert set(stored) == ended == {sample.trial_id for sample in samples if sample.metric == "other"}
    assert len(set(stored.values())) == len(stored)
    assert set(serials) <= set(stored.values())


@pytest.fixture(scope="module")
def killing(new_workplace: Callable[[], Workplace]) -> Killing:
    """With two rounds of two trials after a training and two checks."""
    settings = ("across.new_tokens=[8]", "claims={}", "invariants=[cache-bytes]")
    return Killing(load_study(new_workplace().study, "smoke", settings)[0], environment())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of an empty store."""
    path = tmp_path_factory.mktemp("store") / "harness.db"
    open_store(path).close()
    return path.read_bytes()


@contextlib.contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    folder.mkdir()
    with mock.patch.object(tempfile, "tempdir", str(folder)):
        yield


def spread(counts: dict[str, int], shares: dict[str, int]) -> list[Point]:
    """So many points of each kind, evenly spread over a run."""
    return [
        Point(kind, number * counts[kind] // share, 13 * number % 200 + 1)
        for kind, share in shares.items()
        for number in range(share)
    ]


@pytest.mark.parametrize(
    ("shares", "exists"),
    [
        ({BEFORE: 8, DURING: 9, AFTER: 8, STATEMENT: 5}, True),
        pytest.param(
            {BEFORE: 100, DURING: 200, AFTER: 100, STATEMENT: 100},
            False,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["30", "500"],
)
def test_wherever_a_driver_is_killed_nothing_is_lost_and_little_is_run_again(
    killing: Killing, store: bytes, tmp_path: Path, shares: dict[str, int], *, exists: bool
) -> None:
    def new_folder(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        if exists:
            (folder / "harness.db").write_bytes(store)
        return folder

    with temporary_files_in(tmp_path / "files"):
        counts, outputs = killing.undisturbed(new_folder("undisturbed"))
        for number, point in enumerate(spread(counts, shares)):
            folder = new_folder(str(number))
            killing.check(folder, point, outputs)
            shutil.rmtree(folder)

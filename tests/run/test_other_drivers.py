"""Two drivers on one run of a PostgreSQL database, each as if it had a machine of its own."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.machine.environment import Environment, environment
from harness.run import other_drivers
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.run.programme import StudyProgramme
from harness.store.rows import TrialRow
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.trial.causes import Cause
from harness.trial.outcome import Outcome, Sample
from tests.end_to_end.in_process import Broken, Notes, Scripted, obedient
from tests.support.tiny_study import loaded as tiny_study
from tests.support.tiny_study import tuned_study

Decide = Callable[[Job], Outcome]


@pytest.fixture(autouse=True)
def _machines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither driver waits for the lock of this machine, nor long for the other one."""
    monkeypatch.setattr("harness.run.driver.machine_lease", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(other_drivers, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr("harness.run.driver.usable_cores", lambda: 2)
    monkeypatch.setattr("harness.run.resources.usable_cores", lambda: 2)


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


@dataclass
class Heard(Notes):
    """Notes of which a test can wait for one."""

    events: dict[str, threading.Event] = field(default_factory=dict)

    def heard(self, part: str) -> threading.Event:
        """Is set as soon as there is a note with this part."""
        event = self.events.setdefault(part, threading.Event())
        if any(part in note for note in self.notes):
            event.set()
        return event

    def note(self, message: str) -> None:
        super().note(message)
        for part in tuple(self.events):
            self.heard(part)


@dataclass
class Meeting:
    """Where two drivers meet: they share a store and a folder of results."""

    url: str
    loaded: LoadedStudy
    setting: Setting
    notes: list[Heard] = field(default_factory=lambda: [Heard(), Heard()])

    def drive(self, number: int, decide: Decide, *, slots: int = 1, results: Path | None = None) -> None:
        setting = self.setting if results is None else Setting(**{**vars(self.setting), "results": results})
        with open_store(self.url) as store:
            Driver(
                StudyProgramme(self.loaded),
                setting,
                store=store,
                backend=Scripted(decide, slots=slots),
                listener=self.notes[number],
            ).run()

    def __post_init__(self) -> None:
        open_store(self.url).close()  # threads of one process cannot make its tables at the same time

    def both(self, first: Decide, second: Decide, *, slots: int = 1) -> None:
        with ThreadPoolExecutor(2) as pool:
            futures = [
                pool.submit(self.drive, number, one, slots=slots)
                for number, one in enumerate((first, second))
            ]
            problems = [problem for future in futures if (problem := future.exception()) is not None]
        if problems:
            raise min(problems, key=lambda problem: isinstance(problem, threading.BrokenBarrierError))

    @contextlib.contextmanager
    def stored(self) -> Iterator[Store]:
        with open_store(self.url) as store:
            [_] = store.runs()
            yield store

    def rows(self) -> list[TrialRow]:
        with self.stored() as store:
            [run] = store.runs()
            assert store.chain(run).problems == ()
            return store.trials(run, include_superseded=True)


@pytest.fixture
def shared(tmp_path: Path, postgres_url: str, here: Environment) -> Meeting:
    """A study of losses: two arms with three seeds."""
    without_tuning = (
        "  tune:\n    grid:\n      optimizer.lr: [1e-4, 1e-3, 1e-2]\n",
        "  exploratory: true\n",
    )
    arms = ("clip: [1.0, 0.5, 0.25, 2.0]", "clip: [1.0, 0.5]")
    loaded = tuned_study(tmp_path, without_tuning, arms, ("seeds: 7", "seeds: 3"))
    setting = Setting(results=tmp_path, environment=here, code="c0de", corpora=("c",))
    return Meeting(postgres_url, loaded, setting)


@pytest.fixture
def tuned(shared: Meeting, tmp_path: Path) -> Meeting:
    """Its learning rates are tuned first, so that later trials depend on earlier ones."""
    folder = tmp_path / "tuned"
    folder.mkdir()
    arms = ("clip: [1.0, 0.5, 0.25, 2.0]", "clip: [1.0, 0.5]")
    shared.loaded = tuned_study(folder, arms, ("  seeds: 7", "  seeds: 3\n  exploratory: true"))
    return shared


def together(decide: Decide, barrier: threading.Barrier) -> Decide:
    """The first trial of each driver waits for that of the other one."""
    waited: list[None] = []

    def deciding(job: Job) -> Outcome:
        if not waited:
            waited.append(None)
            barrier.wait(20)
        return decide(job)

    return deciding


@pytest.mark.parametrize("slots", [1, 2])
def test_they_share_the_trials_and_none_runs_twice(shared: Meeting, slots: int) -> None:
    barrier = threading.Barrier(2)
    shared.both(together(obedient, barrier), together(obedient, barrier), slots=slots)
    rows = shared.rows()
    assert len({row.session_id for row in rows}) == 2
    measured = [row for row in rows if row.purpose == "measure"]
    assert sorted(row.state for row in measured) == ["finished"] * 6
    assert len({row.spec_id for row in rows}) == len(rows)


def test_what_one_of_them_tuned_decides_the_trials_of_both(tuned: Meeting) -> None:
    def scored(job: Job) -> Outcome:
        outcome = obedient(job)
        loss = 1.0 + float(job.spec.config["optimizer"]["lr"])
        return Outcome(
            status="finished", outputs=outcome.outputs, samples=(Sample("validation_loss", 1, loss),)
        )

    barrier = threading.Barrier(2)
    tuned.both(together(scored, barrier), together(scored, barrier))
    rows = tuned.rows()
    assert len({row.spec_id for row in rows}) == len(rows)
    assert {row.state for row in rows} == {"finished"}
    assert {"tune", "measure"} <= {row.purpose for row in rows}
    with tuned.stored() as store:
        [run] = store.runs()
        assert len(store.planned(run)) == len(rows)


def test_what_one_of_them_leaves_the_other_one_finishes(shared: Meeting) -> None:
    barrier, broken = threading.Barrier(2), threading.Event()

    def breaking(_: Job) -> Outcome:
        barrier.wait(20)
        broken.set()
        raise Broken

    def waiting(job: Job) -> Outcome:
        if not broken.is_set():
            barrier.wait(20)
        return obedient(job)

    with pytest.raises(Broken):
        shared.both(breaking, waiting)
    rows = shared.rows()
    states = sorted(row.superseded_state or row.state for row in rows)
    assert states == ["finished"] * 6 + ["interrupted"]


def test_who_has_nothing_left_waits_for_the_trials_of_the_other_one(shared: Meeting) -> None:
    started = threading.Event()

    def slow(job: Job) -> Outcome:
        if not started.is_set():
            started.set()
            assert shared.notes[1].heard("has not finished its trials").wait(60)
        return obedient(job)

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(shared.drive, 0, slow)
        assert started.wait(60)
        pool.submit(shared.drive, 1, obedient).result()
        running.result()
    by_session = Counter(row.session_id for row in shared.rows())
    assert by_session == {1: 1, 2: 5}
    assert len([note for note in shared.notes[1].notes if note.startswith("waiting for process")]) == 1


def test_what_fails_with_one_of_them_is_not_tried_by_the_other(shared: Meeting) -> None:
    barrier = threading.Barrier(2)

    def failing(job: Job) -> Outcome:
        return Outcome(status="failed", error="trouble") if job.spec.seed == 1 else obedient(job)

    shared.both(together(failing, barrier), together(failing, barrier))
    rows = shared.rows()
    assert sorted(row.state for row in rows) == ["failed"] * 2 + ["finished"] * 4
    assert {row.attempt for row in rows} == {1}


def test_what_is_lost_with_one_of_them_is_tried_again_there_only(shared: Meeting) -> None:
    barrier = threading.Barrier(2)
    lost = Outcome(status="lost", error="the worker was killed", cause=Cause.KILLED)

    def losing(_: Job) -> Outcome:
        return lost

    shared.both(together(losing, barrier), together(losing, barrier))
    rows = shared.rows()
    assert {row.state for row in rows} == {"lost"}
    by_trial = {
        spec_id: [row for row in rows if row.spec_id == spec_id] for spec_id in {row.spec_id for row in rows}
    }
    assert {len(tried) for tried in by_trial.values()} == {2}
    assert all(len({row.session_id for row in tried}) == 1 for tried in by_trial.values())


def test_timed_trials_are_run_by_one_of_them_and_the_other_one_waits(
    tmp_path: Path, postgres_url: str, here: Environment
) -> None:
    setting = Setting(results=tmp_path, environment=here, code="c0de", corpora=("c",))
    meeting = Meeting(postgres_url, tiny_study(tmp_path), setting)
    started = threading.Event()

    def first(job: Job) -> Outcome:
        if job.spec.purpose == "measure" and not started.is_set():
            started.set()
            assert meeting.notes[1].heard("works on this run as well").wait(60)
        return obedient(job)

    def second(job: Job) -> Outcome:
        raise AssertionError(f"{job.spec.title} was run")

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(meeting.drive, 0, first)
        assert started.wait(60)
        pool.submit(meeting.drive, 1, second).result()
        running.result()
    assert "works on this run as well" in meeting.notes[1].notes[0]
    assert {row.session_id for row in meeting.rows()} == {1}


def test_a_model_that_another_driver_keeps_for_itself_is_not_trained_again(
    tmp_path: Path, postgres_url: str, here: Environment
) -> None:
    setting = Setting(results=tmp_path, environment=here, code="c0de", corpora=("c",))
    meeting = Meeting(postgres_url, tiny_study(tmp_path), setting)
    trained, refused = threading.Event(), threading.Event()

    def first(job: Job) -> Outcome:
        if job.spec.purpose == "measure":
            trained.set()
            assert refused.wait(60)
        return obedient(job)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(meeting.drive, 0, first)
        assert trained.wait(60)
        with pytest.raises(HarnessError, match="another driver has trained the model of seed") as caught:
            meeting.drive(1, obedient, results=tmp_path / "elsewhere")
        refused.set()
        running.result()
    assert "the same folder of results" in str(caught.value)

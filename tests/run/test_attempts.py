"""Trials that run at the same time: how many, what is recorded when, and what happens after a loss."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from harness.machine.environment import Environment, environment
from harness.run.attempts import Attempts
from harness.run.backends.base import Finished
from harness.run.job import Job
from harness.run.listener import Listener
from harness.run.programme import StudyProgramme
from harness.store.rows import Run, TrialRow
from harness.store.store import Store
from harness.study.loaded import LoadedStudy
from harness.trial.causes import Cause
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.run.scene import Scene
from tests.support.tiny_study import tuned_study

FINISHED = Outcome(status="finished")
LOST = Outcome(status="lost", error="the worker was killed by SIGKILL", cause=Cause.KILLED)


class Held:
    """The handle of a job that ends when the test says so."""

    def __init__(self, job: Job) -> None:
        self.job, self.future, self.cancelled = job, Future[Finished](), False

    def end(self, outcome: Outcome = FINISHED) -> None:
        self.future.set_result(Finished(outcome=outcome, seconds=1.0, telemetry=(), nvml_reason=None))

    def new_samples(self) -> list[Sample]:
        return []

    def last_samples(self) -> list[Sample]:
        return []

    def cancel(self, grace_s: float) -> None:
        self.cancelled = True


class Holding:
    """A backend whose newest jobs end, with the outcomes of a script, when the driver waits for a slot."""

    slots = 2

    def __init__(self, *outcomes: Outcome) -> None:
        self.handles: list[Held] = []
        self._outcomes = list(outcomes)
        self.most = 0

    @property
    def running(self) -> list[Held]:
        return [handle for handle in self.handles if not handle.future.done()]

    def submit(self, job: Job) -> Held:
        self.handles.append(Held(job))
        self.most = max(self.most, len(self.running))
        if len(self.running) == self.slots or len(self.handles) == len(self._outcomes):
            for handle in self.running:
                handle.end(self._outcomes[self.handles.index(handle)])
        return self.handles[-1]

    def begin_part(self) -> None:
        """It has no processes."""

    def begin_round(self) -> None:
        """It has no processes."""

    def close(self) -> None:
        """It holds nothing."""


class Scripted:
    """A run whose trials of tuning are attempted, and what was recorded of them, in order."""

    def __init__(self, folder: Path, here: Environment, backend: Holding) -> None:
        self.loaded: LoadedStudy = tuned_study(folder)
        scene = Scene(folder, self.loaded, here)
        self.store: Store = scene.store
        self.specs = [spec for batch in scene.plan.known for spec in batch.trials][:6]
        self.run: Run = self.store.create_run(
            StudyProgramme(self.loaded).identity(scene.setting()),
            study="tiny",
            study_json="{}",
            study_source="",
            environment={},
            trials=self.specs,
        )
        session = self.store.open_session(self.run, {})
        self.attempts = Attempts(
            self.run, session, (), store=self.store, backend=backend, listener=Listener()
        )
        self.recorded: list[tuple[str, str]] = []

    def start(self, *specs: TrialSpec) -> None:
        for spec in specs:
            job = Job(spec=spec, events="", checkpoints={}, threads=1, side_by_side=True)
            self.attempts.beside_others(job, 2, self._note(spec))

    def _note(self, spec: TrialSpec) -> Callable[[int, Finished], None]:
        return lambda _, result: self.recorded.append((spec.id, result.outcome.status))

    @property
    def rows(self) -> list[TrialRow]:
        return self.store.trials(self.run)


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


def test_as_many_run_as_there_are_slots_and_each_is_recorded_once(tmp_path: Path, here: Environment) -> None:
    backend = Holding(*[FINISHED] * 5)
    script = Scripted(tmp_path, here, backend)
    script.start(*script.specs[:5])
    script.attempts.settle()
    assert backend.most == 2
    assert sorted(script.recorded) == sorted((spec.id, "finished") for spec in script.specs[:5])
    assert [(row.spec_id, row.state, row.position) for row in script.rows] == [
        (spec.id, "finished", number) for number, spec in enumerate(script.specs[:5])
    ]


def test_a_lost_trial_runs_again_when_the_others_have_ended(tmp_path: Path, here: Environment) -> None:
    backend = Holding(LOST, FINISHED, FINISHED, FINISHED)
    script = Scripted(tmp_path, here, backend)
    first, second, third = script.specs[:3]
    script.start(first, second, third)
    backend.handles[2].end()
    script.attempts.settle()
    assert [handle.job.spec.id for handle in backend.handles] == [first.id, second.id, third.id, first.id]
    assert [(row.spec_id, row.state, row.attempt) for row in script.rows] == [
        (first.id, "lost", 1),
        (second.id, "finished", 1),
        (third.id, "finished", 1),
        (first.id, "finished", 2),
    ]
    assert script.recorded[-1] == (first.id, "finished")
    assert len(script.recorded) == 3


def test_a_trial_that_is_lost_twice_stays_lost(tmp_path: Path, here: Environment) -> None:
    backend = Holding(LOST, FINISHED, LOST)
    script = Scripted(tmp_path, here, backend)
    script.start(*script.specs[:2])
    script.attempts.settle()
    script.attempts.settle()
    assert script.recorded == [(script.specs[1].id, "finished"), (script.specs[0].id, "lost")]
    assert len(backend.handles) == 3


def test_trials_that_are_cancelled_are_ended_and_not_recorded(tmp_path: Path, here: Environment) -> None:
    backend = Holding(*[FINISHED] * 9)
    script = Scripted(tmp_path, here, backend)
    script.start(script.specs[0])
    script.attempts.cancel()
    assert [handle.cancelled for handle in backend.handles] == [True]
    script.attempts.settle()
    assert script.recorded == []
    assert [row.state for row in script.rows] == ["running"]

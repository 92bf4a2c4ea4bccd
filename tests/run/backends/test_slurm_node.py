"""A worker in a job of Slurm, as a process of this machine, and what it says when it ends."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.run.backends.node_facts import NodeFacts, facts_of_this_machine, sent_variables
from harness.run.backends.slurm_mailbox import (
    ENDED,
    FACTS,
    HEARTBEAT,
    JOB,
    RESULT,
    START,
    STOP,
    Mailbox,
    numbered,
)
from harness.run.backends.slurm_node import RESTARTS
from harness.run.job import Job
from harness.trial.causes import Cause
from tests.end_to_end.workplace import DEADLINE_S, Workplace
from tests.run.backends.conformance import alive
from tests.run.worker.conftest import STEPS

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Started:
    """A worker, and its folder."""

    box: Mailbox
    process: subprocess.Popen[bytes]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.02)
                assert condition()

    def last_words(self) -> str:
        """Why it ended, once it has."""
        assert self.process.wait(timeout=DEADLINE_S) == 0
        letter = self.box.get(ENDED)
        assert letter["cause"] == Cause.LOST_WORKER
        reason: str = letter["error"]
        return reason


@pytest.fixture
def start(workplace: Workplace, tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts a worker that a driver has asked for this job, if one is given."""
    started: list[Started] = []

    def make(
        job: Job | None = None, *, restarts: int = 0, patience_s: float = DEADLINE_S, act: str = "hang"
    ) -> Started:
        box = Mailbox(tmp_path / "worker-1")
        box.folder.mkdir()
        letter = {"variables": sent_variables(), "folder": str(workplace.folder), "results": str(tmp_path)}
        box.put(START, {**letter, "patience_s": patience_s})
        if job is not None:
            box.put(numbered(JOB, 1), {"job": job.model_dump_json(), "folders": [str(tmp_path)]})
        variables = workplace.environment({**STEPS, "name": tmp_path.name, "act": act})
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.run.backends.slurm_node", str(box.folder)],
            cwd=workplace.folder,
            env={**variables, **({RESTARTS: str(restarts)} if restarts else {})},
        )
        started.append(Started(box, process))
        return started[-1]

    yield make
    for one in started:
        one.process.kill()
        one.process.wait()


def test_a_worker_says_what_its_node_is_like_and_ends_when_it_is_asked(start: Callable[..., Started]) -> None:
    worker = start()
    worker.until(lambda: FACTS in worker.box.names())
    facts = NodeFacts(**worker.box.get(FACTS))
    assert replace(facts, code="") == replace(facts_of_this_machine(), code="")
    worker.box.put(STOP, None)
    assert worker.last_words() == "the driver stopped the worker"


def test_a_requeued_worker_never_repeats_a_trial(start: Callable[..., Started], job: Job) -> None:
    worker = start(job, restarts=1)
    assert worker.last_words() == "the job was preempted and requeued"
    assert worker.box.names() == {START, numbered(JOB, 1), ENDED}


def test_a_worker_that_was_requeued_before_its_first_trial_is_like_a_new_one(
    start: Callable[..., Started],
) -> None:
    worker = start(restarts=1)
    worker.until(lambda: FACTS in worker.box.names())
    worker.box.put(STOP, None)
    assert worker.last_words() == "the driver stopped the worker"


def test_a_worker_whose_driver_is_dead_ends_with_its_trial(
    start: Callable[..., Started], workplace: Workplace, job: Job, tmp_path: Path
) -> None:
    """The driver has changed its file until the trial began."""
    worker, beats = start(job, patience_s=3.0), itertools.count()

    def begins() -> bool:
        Mailbox(tmp_path).put(HEARTBEAT, next(beats))
        return workplace.met(tmp_path.name) > 0

    worker.until(begins)
    assert worker.last_words() == "the driver has shown no sign of life"
    assert not any(name.startswith(RESULT) for name in worker.box.names())
    assert alive([int((workplace.folder / f"met-{tmp_path.name}").read_text())]) == []


def test_a_signal_of_slurm_ends_the_trial_and_says_so(
    start: Callable[..., Started], workplace: Workplace, job: Job, tmp_path: Path
) -> None:
    worker = start(job)
    worker.until(lambda: workplace.met(tmp_path.name) > 0)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.last_words() == "Slurm asked the worker to end (SIGTERM)"
    assert alive([int((workplace.folder / f"met-{tmp_path.name}").read_text())]) == []

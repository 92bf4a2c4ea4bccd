"""What every backend must do, whatever machines it uses. A subclass gives the fixture `open_backend`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

import psutil
import pytest

from harness.run.backends.base import Backend, Finished, Handle
from harness.run.job import Job, TrialLimits
from harness.run.processes import has_ended
from harness.trial.causes import Cause
from tests.end_to_end.workplace import DEADLINE_S, Workplace
from tests.run.worker.conftest import STEPS

LIMITS = TrialLimits(seconds=60.0, memory_bytes=2**40, output_bytes=2**20, idle_seconds=60.0)

OpenBackend = Callable[..., Backend]
"""Opens the backend, whose workers meet a fault if one is given."""


class BackendConformance:
    """The suite."""

    @pytest.fixture
    def open_backend(self) -> Iterator[OpenBackend]:
        raise NotImplementedError

    def test_a_job_that_is_submitted_gives_its_samples_and_telemetry(
        self, job: Job, open_backend: OpenBackend
    ) -> None:
        backend = open_backend()
        assert backend.slots >= 1
        first, second = (ended(backend, job) for _ in range(2))
        for finished in (first, second):
            assert finished.outcome.status == "finished", finished.outcome
            assert len(finished.outcome.samples) == len(list(finished.outcome.samples)) > 0
            assert finished.outcome.notes["threads"] == job.threads
            assert finished.telemetry[0].rss_bytes > 0
            assert finished.seconds > 0
        assert first.outcome.outputs == second.outcome.outputs != {}

    def test_each_cause_of_an_end_without_a_result_has_its_name(
        self, job: Job, open_backend: OpenBackend
    ) -> None:
        expected = {
            "raise": ("failed", Cause.ERROR, "RuntimeError: planted trouble"),
            "segfault": ("failed", Cause.SEGFAULT, "the worker was killed by SIGSEGV"),
            "exit": ("failed", Cause.NO_RESULT, "the worker ended with exit status 3"),
            "kill": ("lost", Cause.KILLED, "the worker was killed by SIGKILL"),
        }
        backend = open_backend({**STEPS, "name": "crash", "act": [*expected, "pass"]})
        for status, cause, error in expected.values():
            outcome = ended(backend, job).outcome
            assert (outcome.status, outcome.cause) == (status, cause)
            assert error in str(outcome.error)
            assert {sample.metric for sample in outcome.samples} >= {"cache_bytes"}
        assert ended(backend, job).outcome.status == "finished"

    def test_a_trial_that_hangs_ends_at_its_limit(self, job: Job, open_backend: OpenBackend) -> None:
        backend = open_backend({**STEPS, "name": "hang", "act": "hang"})
        outcome = ended(backend, job, idle_seconds=0.3).outcome
        assert (outcome.status, outcome.cause) == ("failed", Cause.HANG)
        assert ended(backend, job).outcome.status == "finished"

    def test_a_flood_of_output_ends_at_its_limit_and_is_not_stored(
        self, job: Job, open_backend: OpenBackend
    ) -> None:
        backend = open_backend({**STEPS, "name": "flood", "act": "flood"})
        outcome = ended(backend, job).outcome
        assert (outcome.status, outcome.cause) == ("failed", Cause.OUTPUT_LIMIT)
        assert 0 < len(str(outcome.traceback)) < 25_000

    def test_a_running_trial_shows_its_samples_and_leaves_nothing_when_it_is_cancelled(
        self, workplace: Workplace, job: Job, open_backend: OpenBackend
    ) -> None:
        """Also what the trial has started, and what has left its group. The backend goes on."""
        backend = open_backend({**STEPS, "name": "cancel", "act": "descendants+hang"})
        handle = backend.submit(job)
        started = workplace.folder / "met-cancel.started"
        wait_until(started.exists, handle)
        # on a cluster, they come a moment later
        wait_until(lambda: "cache_bytes" in {sample.metric for sample in handle.last_samples()}, handle)
        assert {sample.metric for sample in handle.new_samples()} >= {"cache_bytes"}
        assert handle.new_samples() == []
        trial = int((workplace.folder / "met-cancel").read_text())
        handle.cancel(grace_s=5.0)
        outcome = handle.future.result(timeout=0).outcome
        assert (outcome.status, outcome.error) == ("interrupted", "the driver stopped the trial")
        assert alive([trial, *map(int, started.read_text().split())]) == []
        assert handle.last_samples() == []
        assert ended(backend, job).outcome.status == "finished"

    def test_a_job_that_waits_for_another_one_can_be_cancelled(
        self, workplace: Workplace, job: Job, open_backend: OpenBackend
    ) -> None:
        """More jobs than slots. Those that have not begun never run, and nothing runs on."""
        backend = open_backend({**STEPS, "name": "queue", "act": "hang", "times": 99})
        units = (
            job.spec.model_copy(update={"config": {**job.spec.config, "units": number}})
            for number in range(1, backend.slots + 2)
        )
        handles = [backend.submit(job.model_copy(update={"spec": spec})) for spec in units]
        wait_until(lambda: workplace.met("queue") > 0, handles[0])
        for handle in reversed(handles):
            handle.cancel(grace_s=5.0)
        for handle in handles:
            cancelled = handle.future.cancelled() or handle.future.result(timeout=0).outcome.status
            assert cancelled in (True, "interrupted")
        assert alive([int(pid) for pid in (workplace.folder / "met-queue").read_text().split()]) == []

    def test_closing_ends_what_still_runs(
        self, workplace: Workplace, job: Job, open_backend: OpenBackend
    ) -> None:
        backend = open_backend({**STEPS, "name": "close", "act": "hang on"})
        handle = backend.submit(job)
        wait_until(lambda: workplace.met("close") > 0, handle)
        backend.close()
        assert handle.future.result(timeout=0).outcome.status == "interrupted"
        assert alive([int((workplace.folder / "met-close").read_text())]) == []

    def test_a_worker_that_is_lost_is_an_outside_cause_and_is_replaced(
        self, workplace: Workplace, job: Job, open_backend: OpenBackend
    ) -> None:
        """Somebody kills the process from which the trial was forked."""
        backend = open_backend({**STEPS, "name": "lost", "act": "hang"})
        handle = backend.submit(job)
        wait_until(lambda: workplace.met("lost") > 0, handle)
        trial = psutil.Process(int((workplace.folder / "met-lost").read_text()))
        trial.parent().kill()  # type: ignore[union-attr]
        outcome = handle.future.result(timeout=DEADLINE_S).outcome
        assert (outcome.status, outcome.cause) == ("lost", Cause.LOST_WORKER)
        assert alive([trial.pid]) == []
        assert ended(backend, job).outcome.status == "finished"


def ended(backend: Backend, job: Job, **limits: Any) -> Finished:
    """The end of a job with these limits."""
    limited = job.model_copy(update={"limits": LIMITS.model_copy(update=limits)})
    return backend.submit(limited).future.result(timeout=DEADLINE_S)


def wait_until(condition: Callable[[], bool], handle: Handle) -> None:
    """Wait while the trial runs. It must not end meanwhile."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        finished, _ = wait([handle.future], timeout=0.02)
        assert not finished, handle.future.result()
        assert time.monotonic() < deadline


def alive(pids: list[int]) -> list[int]:
    """The processes that have not ended after some seconds."""
    there = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    psutil.wait_procs([process for process in there if not has_ended(process)], timeout=20)
    return [process.pid for process in there if not has_ended(process)]

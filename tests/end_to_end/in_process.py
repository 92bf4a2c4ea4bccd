"""Backends without processes: one that really runs trials, and one that only says what it was asked to do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch

from harness.run.backends.base import Finished
from harness.run.backends.local import LocalBackend
from harness.run.job import Job
from harness.run.listener import Listener
from harness.run.programme import WorkLeft
from harness.run.worker import run_job
from harness.store.rows import Run, TrialRow
from harness.telemetry.process_sampler import TelemetrySample
from harness.training.checkpoint import WEIGHTS, weights_digest
from harness.trial.causes import Cause
from harness.trial.outcome import Outcome, Sample, read_events


class Done:
    """The handle of a job that has ended."""

    def __init__(self, finished: Finished) -> None:
        self.future: Future[Finished] = Future()
        self.future.set_result(finished)

    def new_samples(self) -> list[Sample]:
        """It is not running."""
        return []

    def last_samples(self) -> list[Sample]:
        """It is not running."""
        return []

    def cancel(self, grace_s: float) -> None:
        """There is nothing left to end."""


class _EndOf(Future[Finished]):
    """The end of a job, which comes at once for whoever waits for it."""

    def __init__(self, finished: Finished) -> None:
        super().__init__()
        self._finished = finished

    def result(self, timeout: float | None = None) -> Finished:
        if not self.done():
            self.set_result(self._finished)
        return super().result(timeout)


class Running:
    """The handle of a job that records one sample for each look at it. It ends after the last one, or when it
    is cancelled, with the samples that it has recorded by then.
    """

    def __init__(self, finished: Finished) -> None:
        self.future = _EndOf(finished)
        self._finished, self._looks = finished, 0

    def new_samples(self) -> list[Sample]:
        samples = tuple(self._finished.outcome.samples)
        self._looks += 1
        if self._looks > len(samples):
            self.future.set_result(self._finished)
            return []
        return [samples[self._looks - 1]]

    def last_samples(self) -> list[Sample]:
        return list(self._finished.outcome.samples)[: self._looks]

    def cancel(self, grace_s: float) -> None:
        recorded = tuple(self._finished.outcome.samples)[: self._looks]
        died = Outcome(
            status="interrupted", samples=recorded, error="the driver stopped the trial", cause=Cause.STOPPED
        )
        self.future.set_result(replace(self._finished, outcome=died))


class InProcess(LocalBackend):
    """Runs every trial here and now; a stand-in where a command makes its own backend."""

    def __init__(self, **_: Any) -> None:
        super().__init__(nvml=None, slots=1)  # type: ignore[arg-type]  # no process is started, so none is watched

    def __enter__(self) -> Self:
        return self

    def submit(self, job: Job) -> Done:  # type: ignore[override]
        events = self._scratch.folder / "events.jsonl"
        threads = torch.get_num_threads()
        started = time.perf_counter()
        files = self._scratch.folder / "files"
        run_job(job.model_copy(update={"events": str(events), "threads": 1, "folder": str(files)}))
        shutil.rmtree(files, ignore_errors=True)
        torch.set_num_threads(threads)
        with events.open() as lines:
            outcome = read_events(lines, died="it did not end")
        return Done(
            Finished(
                outcome=outcome,
                seconds=time.perf_counter() - started,
                telemetry=(),
                nvml_reason="not watched",
            )
        )


@dataclass
class Scripted:
    """Does nothing; `decide` says how each job ends.

    Keeps what it was asked, in order; None is the start of a round. `others` says how many cores other
    programs kept busy while a job ran, and `seen` which fields of its last sample differ otherwise. Jobs
    have ended as soon as they are submitted, unless they are `watched` while they run.
    """

    decide: Callable[[Job], Outcome]
    others: Callable[[Job], float] = lambda _: 0.0
    seen: Callable[[Job], dict[str, Any]] = lambda _: {}
    seconds: float = 0.0
    watched: bool = False
    asked: list[Job | None] = field(default_factory=list)
    slots: int = 1

    def begin_part(self) -> None:
        """It has no processes."""

    def begin_round(self) -> None:
        self.asked.append(None)

    def submit(self, job: Job) -> Done | Running:
        self.asked.append(job)
        last = replace(host_sample(100 * self.others(job), t_seconds=0.1), **self.seen(job))
        telemetry = (host_sample(None), last)
        finished = Finished(
            outcome=self.decide(job), seconds=self.seconds, telemetry=telemetry, nvml_reason=None
        )
        return Running(finished) if self.watched else Done(finished)

    def close(self) -> None:
        """It holds nothing."""

    @property
    def jobs(self) -> list[Job]:
        return [job for job in self.asked if job is not None]


def host_sample(other_cpu_percent: float | None, *, t_seconds: float = 0.0) -> TelemetrySample:
    return TelemetrySample(
        t_seconds=t_seconds,
        rss_bytes=1,
        cpu_percent=100.0,
        threads=1,
        load=1.0,
        swap_in_bytes=0,
        swap_out_bytes=0,
        cpu_mhz=None,
        other_cpu_percent=other_cpu_percent,
    )


@dataclass
class Notes(Listener):
    """Keeps the messages and the sizes of the parts."""

    notes: list[str] = field(default_factory=list)
    begun: list[tuple[int, int]] = field(default_factory=list)

    def begin(self, run: Run, left: WorkLeft, earlier: Sequence[TrialRow]) -> None:
        self.begun.append((left.todo, left.done))

    def note(self, message: str) -> None:
        self.notes.append(message)


class Broken(BaseException):
    """What a test breaks a driver off with."""


def obedient(job: Job) -> Outcome:
    """Everything works; a training leaves a file where a model would lie."""
    if job.spec.purpose != "train":
        return Outcome(status="finished", outputs={"tokens": "t"})
    [folder] = [Path(folder) for folder in job.checkpoints.values()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(f"weights of seed {job.spec.seed}".encode())
    return Outcome(status="finished", outputs={"weights": weights_digest(folder)})

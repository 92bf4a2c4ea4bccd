"""The interface of a backend: submit a job, and get a handle to wait for it or to cancel it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from harness.run.job import Job
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.outcome import Outcome, Sample


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a job ended: the report of its worker, its wall time, and the samples of its process."""

    outcome: Outcome
    seconds: float
    telemetry: tuple[TelemetrySample, ...]
    nvml_reason: str | None


class Handle(Protocol):
    @property
    def future(self) -> Future[Finished]: ...

    def new_samples(self) -> list[Sample]:
        """The samples that the trial has recorded since the last call, if it is running. Those of another
        machine may come a moment later.
        """

    def last_samples(self) -> list[Sample]:
        """The newest samples of the trial, if it is running. It costs little, however many there are."""

    def cancel(self, grace_s: float) -> None:
        """Ask the job's process to end, and kill it after `grace_s` seconds.

        The future is then cancelled or has the result of a lost trial.
        """


class Backend(Protocol):
    """Where trials run. Jobs that are timed are submitted one at a time, others until all slots are full.

    This is more than an executor, which cannot stop a job that is running.
    """

    @property
    def slots(self) -> int:
        """How many jobs that are not timed and have one thread it runs at the same time."""

    def submit(self, job: Job) -> Handle: ...

    def begin_part(self) -> None:
        """The rounds of another part follow. The first one may share a process with earlier trials."""

    def begin_round(self) -> None:
        """A round begins, in new processes: each round is a new sample of what its trials share (memory)."""

    def close(self) -> None: ...

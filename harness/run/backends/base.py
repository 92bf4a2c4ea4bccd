"""What every backend offers: submit a job, get a handle that can be waited for and cancelled."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from harness.run.job import Job
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a job ended: what its worker reported, its wall time, and what was seen of it from outside."""

    outcome: Outcome
    seconds: float
    telemetry: tuple[TelemetrySample, ...]
    nvml_reason: str | None


class Handle(Protocol):
    @property
    def future(self) -> Future[Finished]: ...

    def cancel(self, grace_s: float) -> None:
        """End the job's process: politely, and after `grace_s` seconds for good.

        Its future fails or tells of the end.
        """


class Backend(Protocol):
    """One at a time or many; a bare executor would not do, as it cannot stop what is running."""

    def submit(self, job: Job) -> Handle: ...

    def begin_part(self) -> None:
        """Rounds of another comparison follow: the first of them may share processes with what ran before."""

    def begin_round(self) -> None:
        """Start from fresh processes: what a round's trials share (memory layout) is sampled anew."""

    def close(self) -> None: ...

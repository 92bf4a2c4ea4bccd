"""Runs trials, one after the other or several at the same time, and records every attempt at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import psutil

from harness.machine.environment import cpu_quota
from harness.run import stopping
from harness.run.backends.base import Backend, Finished, Handle
from harness.run.job import Job
from harness.run.listener import Listener
from harness.run.programme import Watcher
from harness.store.rows import Run, Session, TrialRow
from harness.store.store import Store
from harness.store.void import DISTURBED
from harness.telemetry.disturbance import Host, disturbance
from harness.trial.causes import Cause
from harness.trial.outcome import STOPPED, Outcome
from harness.trial.spec import TrialSpec

ATTEMPTS = 2
"""A trial that ends for a reason outside of it is tried once more in the same session. One that fails by
itself is not: it would only fail again, and its arm is invalid.
"""

GRACE_S = 10.0
"""How long a trial that is asked to end may take."""

WATCH_S = 0.1
"""How often the samples of a running trial are looked at, if something may stop it."""

Recorded = Callable[[int, Finished], None]
"""Is called with the id of the last attempt at a trial and its result, when that is in the store."""


@dataclass(frozen=True, kw_only=True)
class _Running:
    """An attempt that is running beside others."""

    attempt_id: int
    job: Job
    handle: Handle
    then: Recorded


class Attempts:
    """The attempts of one session. All methods are called in one thread, which alone writes to the store."""

    def __init__(
        self,
        run: Run,
        session: Session,
        rows: Iterable[TrialRow],
        *,
        store: Store,
        backend: Backend,
        listener: Listener,
    ) -> None:
        """`rows` are all attempts of earlier sessions."""
        self._run, self._session = run, session
        self._store, self._backend, self._listener = store, backend, listener
        self._position = 0
        self.continue_after(rows)
        self._running: list[_Running] = []
        self._again: list[tuple[Job, Recorded]] = []

    def continue_after(self, rows: Iterable[TrialRow]) -> None:
        """The next attempt comes after these in the order of the run."""
        self._position = max((row.position + 1 for row in rows), default=self._position)

    def begin(self, spec: TrialSpec) -> int:
        """Record that an attempt at a trial begins. Returns its id. Raises TrialTakenError if another driver
        has the trial.
        """
        attempt_id = self._store.begin_trial(self._run, self._session, spec, position=self._position)
        self._position += 1
        return attempt_id

    def skip(self, spec: TrialSpec, reason: str) -> None:
        """Record that a trial is not run, and why."""
        self._store.finish_trial(self.begin(spec), stopped(Outcome(status="lost"), reason), seconds=0.0)

    def lose(self, spec: TrialSpec, error: str) -> None:
        """Record that a trial will never be run, and why."""
        self._store.finish_trial(self.begin(spec), Outcome(status="lost", error=error), seconds=0.0)

    def alone(
        self,
        job: Job,
        *,
        watcher: Callable[[], Watcher | None] = lambda: None,
        most: int = ATTEMPTS,
        may_repeat: Callable[[Finished], bool] = lambda _: True,
    ) -> tuple[int, Finished]:
        """Run a trial while no other one runs, and again if its end has an outside cause and it `may_repeat`,
        at most `most` times. Every attempt is recorded, and `may_repeat` sees the result of each. Raises
        TrialTakenError if another driver has the trial.
        """
        spec = job.spec
        for _ in range(most):
            attempt_id = self.begin(spec)
            self._listener.trial(spec)
            handle = self._backend.submit(job)
            try:
                result = _ended(
                    handle,
                    watcher(),
                    lambda: self._listener.running(spec, handle.last_samples),  # noqa: B023  it is called now
                )
            except BaseException:
                handle.cancel(grace_s=GRACE_S)
                raise
            self._record(attempt_id, job, result)
            repeats = may_repeat(result)
            if result.outcome.status != "lost" or not repeats:
                break
        return attempt_id, result

    def beside_others(self, job: Job, at_once: int, then: Recorded) -> None:
        """Start a trial as soon as fewer than `at_once` are running. `then` is called when its last attempt
        is recorded, in this call or in a later one.

        A trial that is lost is run once more when all others have ended: memory may have been too small for
        all of them. Raises TrialTakenError if another driver has the trial.
        """
        while len(self._running) >= at_once:
            self._wait()
        attempt_id = self.begin(job.spec)
        self._listener.trial(job.spec)
        handle = self._backend.submit(job)
        self._running.append(_Running(attempt_id=attempt_id, job=job, handle=handle, then=then))

    def settle(self) -> None:
        """Wait until no trial is running and every one is recorded."""
        while self._running:
            self._wait()
        while self._again:
            job, then = self._again.pop(0)
            then(*self.alone(job, most=ATTEMPTS - 1))

    def cancel(self) -> None:
        """End all trials that are running, without a record."""
        if self._running:
            handles = [one.handle for one in self._running]
            with ThreadPoolExecutor(len(handles)) as pool:
                list(pool.map(lambda handle: handle.cancel(grace_s=GRACE_S), handles))
            self._running = []

    def _wait(self) -> None:
        """Wait until one of the running trials has ended, and record all that have."""
        by_future: dict[Future[Finished], _Running] = {one.handle.future: one for one in self._running}
        ended = set[Future[Finished]]()
        while not ended:
            ended = wait(by_future, timeout=stopping.SIGNALS_S, return_when=FIRST_COMPLETED).done
            for one in self._running if not ended else ():
                self._listener.running(one.job.spec, one.handle.last_samples)
        for one in [by_future[future] for future in by_future if future in ended]:
            self._running.remove(one)
            result = one.handle.future.result()
            self._record(one.attempt_id, one.job, result)
            if result.outcome.status == "lost":
                self._again.append((one.job, one.then))
            else:
                one.then(one.attempt_id, result)

    def _record(self, attempt_id: int, job: Job, result: Finished) -> None:
        self._store.finish_trial(
            attempt_id,
            _noted(job, result),
            seconds=result.seconds,
            telemetry=result.telemetry,
            nvml_reason=result.nvml_reason,
        )
        self._listener.finished(job.spec, result)


def stopped(outcome: Outcome, reason: str) -> Outcome:
    """The outcome of a trial that the driver stopped, with the reason."""
    notes = {**outcome.notes, STOPPED: reason}
    return replace(outcome, status="interrupted", error=reason, cause=Cause.STOPPED, notes=notes)


def _ended(handle: Handle, watcher: Watcher | None, meanwhile: Callable[[], None]) -> Finished:
    """Wait for the end of a trial. A watcher may end it before, and the outcome then says why. `meanwhile` is
    called once per second.
    """
    if watcher is None:
        return stopping.result(handle.future, meanwhile)
    due = time.monotonic() + stopping.SIGNALS_S
    while not wait([handle.future], timeout=WATCH_S).done:
        reason = watcher(handle.new_samples())
        if reason is not None:
            handle.cancel(grace_s=GRACE_S)
            result = stopping.result(handle.future)
            if result.outcome.status == "finished":  # it came to its end before it could be stopped
                return result
            return replace(result, outcome=stopped(result.outcome, reason))
        if time.monotonic() >= due:
            meanwhile()
            due = time.monotonic() + stopping.SIGNALS_S
    return handle.future.result()


def _noted(job: Job, result: Finished) -> Outcome:
    """The outcome of a trial; for a measurement with times, with a note if something outside of it disturbed
    it.
    """
    if job.spec.purpose != "measure" or job.side_by_side:
        return result.outcome
    host = Host(cores=psutil.cpu_count() or 1, threads=job.threads, cpu_quota=cpu_quota())
    cause = disturbance(result.telemetry, host)
    if not cause:
        return result.outcome
    return replace(result.outcome, notes={**result.outcome.notes, DISTURBED: cause})

"""Trials on this machine, one in each slot: a fork server per slot, and a new process per trial.

A thread of the driver samples the process of each trial from outside, and ends it when it reaches a limit.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import LifoQueue
from signal import SIGKILL, SIGTERM, Signals
from typing import Self

from harness.machine.environment import usable_cores
from harness.metrics import ENERGY_METRICS
from harness.run import stopping
from harness.run.backends.base import Finished
from harness.run.backends.ending import Ending, MemoryKills, ending
from harness.run.backends.fork_server import ForkServer, ServerEndedError, last_lines
from harness.run.backends.memory_group import MemoryGroup
from harness.run.backends.watch import LimitWatch, Reached, beyond_memory
from harness.run.job import Job
from harness.run.processes import end_marked, signal_group
from harness.run.scratch import Scratch, remove_tree, sweep
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.process_sampler import ProcessSampler
from harness.trial.causes import Cause
from harness.trial.energy import Watched, with_energy
from harness.trial.event_tail import EventTail
from harness.trial.outcome import Outcome, Sample, read_event_file
from harness.trial.spec import Purpose

GRACE_S = 10.0
"""How long a trial that is asked to end may take. Then it is killed."""

_WATCH_S = 0.1
_AFTER_KILL_S = 10.0
_PRINTED_LINES = 50

_MEASURED: frozenset[Purpose] = frozenset(("measure", "tune", "search"))
"""The purposes of trials whose metrics are compared."""


class _Slot:
    """Where one trial runs at a time, with a fork server that is started for the first one. Its folder is in
    that of the driver, so that what has its mark can be ended without the trials of other slots.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: ForkServer | None = None

    def server_for(self, job: Job) -> ForkServer:
        """A server that can run the job."""
        if self.server is not None and job.task.needs_torch and not self.server.with_torch:
            self.stop_server()
        if self.server is None:
            self.folder.mkdir(exist_ok=True)
            self.server = ForkServer(self.folder, with_torch=job.task.needs_torch)
        return self.server

    def stop_server(self) -> None:
        if self.server is not None:
            self.server.stop()
            self.server = None


class LocalBackend:
    """Trials on this machine, in as many slots as it has usable cores. Use as a context manager."""

    def __init__(self, *, nvml: NvmlReader, slots: int | None = None) -> None:
        sweep()
        self._nvml = nvml
        self._slots = usable_cores() if slots is None else slots
        self._pool = ThreadPoolExecutor(self._slots, thread_name_prefix="local-backend")
        self._scratch = Scratch()
        self._free: LifoQueue[_Slot] = LifoQueue()
        for number in reversed(range(self._slots)):
            self._free.put(_Slot(self._scratch.folder / f"slot-{number}"))
        self._in_round = False
        self._handles: list[LocalHandle] = []
        self._submitted = 0

    @property
    def slots(self) -> int:
        return self._slots

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_part(self) -> None:
        self._in_round = False

    def begin_round(self) -> None:
        """Every round but the first of a part gets a new fork server. No trial is running.

        The first round may use the server of earlier trials, because none of its own trials was timed there.
        A server without torch stays: its trials are programs, which are new processes anyway.
        """
        for number, slot in enumerate(self._all_free_slots()):
            if slot.server is not None and slot.server.with_torch and (self._in_round or number):
                slot.stop_server()
        self._in_round = True

    def _all_free_slots(self) -> list[_Slot]:
        """The slots when no trial is running. The first one is that of the next trial."""
        slots = [self._free.get() for _ in range(self._slots)]
        for slot in reversed(slots):
            self._free.put(slot)
        return slots

    def submit(self, job: Job) -> LocalHandle:
        folder = self._scratch.folder
        events, log = folder / f"{job.spec.id}.jsonl", folder / f"{job.spec.id}.log"
        handle = LocalHandle(events)
        self._submitted += 1
        files = folder / f"{self._submitted}.files"
        places = {"events": str(events), "log": str(log), "shared": str(folder), "folder": str(files)}
        handle.future = self._pool.submit(self._run, job.model_copy(update=places), handle)
        self._handles = [one for one in self._handles if not one.future.done()] + [handle]
        return handle

    def close(self) -> None:
        """Also ends the trials that are still running, after those that wait for their slots."""
        for handle in reversed(self._handles):
            handle.cancel(grace_s=0.0)
        self._pool.shutdown()
        for slot in self._all_free_slots():
            slot.stop_server()
        self._scratch.remove()

    def _run(self, job: Job, handle: LocalHandle) -> Finished:
        slot = self._free.get()
        try:
            return self._run_in(slot, job, handle)
        finally:
            self._free.put(slot)

    def _run_in(self, slot: _Slot, job: Job, handle: LocalHandle) -> Finished:
        events, log = Path(job.events), Path(str(job.log))
        server = slot.server_for(job)
        sampler = ProcessSampler(nvml=self._nvml, gpus=[job.gpu] if job.gpu else [])
        group = _memory_group(job)
        kills, started = MemoryKills(group), time.perf_counter()
        try:
            handle.began(server.fork(job))
            if group is not None:
                group.add(handle.pid)
            sampler.start(handle.pid)
            ended = _wait(server, job, handle, sampler, kills)
            if group is not None and group.has_killed and group.has_reached_limit:
                ended = Ending(*beyond_memory(group.limit, "needed more memory"))
        except ServerEndedError as error:
            ended = _lost_server(slot, error, handle, kills)
        finally:
            telemetry = tuple(sampler.stop())
            handle.ended()
            if group is not None:
                group.remove()
        seconds = time.perf_counter() - started
        outcome = _outcome(events, log, ended)
        remove_tree(Path(job.folder))
        measured = job.spec.purpose in _MEASURED and not job.side_by_side
        if measured and set(ENERGY_METRICS) & set(job.task.metrics):
            watched = Watched(
                samples=telemetry,
                began=sampler.began,
                gpu_reason=sampler.nvml_reason,
                cpu_reason=sampler.cpu_energy_reason,
            )
            outcome = with_energy(outcome, watched)
        return Finished(
            outcome=outcome, seconds=seconds, telemetry=telemetry, nvml_reason=sampler.nvml_reason
        )


class LocalHandle:
    """A trial that is running or waiting."""

    def __init__(self, events: Path) -> None:
        self.future: Future[Finished]
        self.pid = 0
        self._events = EventTail(events)
        self._changing = threading.Lock()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether the driver has asked the trial to end."""
        return self._cancelled

    def began(self, pid: int) -> None:
        with self._changing:
            self.pid = pid
        if self._cancelled:
            self.signal(SIGKILL)

    def ended(self) -> None:
        with self._changing:
            self.pid = 0

    def new_samples(self) -> list[Sample]:
        return self._events.new_samples()

    def last_samples(self) -> list[Sample]:
        return self._events.last_samples()

    def cancel(self, grace_s: float) -> None:
        self._cancelled = True  # `began` ends a process that is just being started
        if self.future.cancel():
            return
        for number, patience in ((SIGTERM, grace_s), (SIGKILL, _AFTER_KILL_S)):
            self.signal(number)
            if stopping.wait(self.future, patience, hurry=number == SIGTERM):
                return

    def signal(self, number: Signals) -> None:
        """Send a signal to all processes of the trial."""
        with self._changing:
            if self.pid:
                signal_group(self.pid, number)


def _lost_server(slot: _Slot, error: ServerEndedError, handle: LocalHandle, kills: MemoryKills) -> Ending:
    """The fork server has ended. The kernel ends its trial with it, and the rest is ended here."""
    handle.signal(SIGKILL)
    end_marked(slot.folder)
    slot.stop_server()
    cause = Cause.HOST_MEMORY if kills.any() else Cause.LOST_WORKER
    return Ending(cause, error.message)


def _memory_group(job: Job) -> MemoryGroup | None:
    if job.limits is None or not job.limits.memory_group:
        return None
    return MemoryGroup.with_limit(job.limits.memory_bytes)


def _wait(
    server: ForkServer, job: Job, handle: LocalHandle, sampler: ProcessSampler, kills: MemoryKills
) -> Ending:
    """Wait for the end of a trial. If it reaches a limit, it is asked to end, and killed if it does not."""
    watch: LimitWatch | None = None
    if job.limits is not None:
        files = {"events": Path(job.events), "log": Path(str(job.log))}
        watch = LimitWatch(job.limits, pid=handle.pid, **files)
    reached: Reached | None = None
    kill_at = 0.0
    while (status := server.status(_WATCH_S)) is None:
        if reached is None and watch is not None:
            reached = watch.reached(sampler.newest)
            if reached is not None:
                handle.signal(SIGTERM)
                kill_at = time.monotonic() + GRACE_S
        elif reached is not None and time.monotonic() >= kill_at:
            handle.signal(SIGKILL)
    if reached is not None:
        return Ending(*reached)
    if handle.cancelled:
        return Ending(Cause.STOPPED, "the driver stopped the trial")
    return ending(status, kills)


def _outcome(events: Path, log: Path, ended: Ending) -> Outcome:
    """The outcome that the trial wrote, or else that of its ending, with the last lines that it printed."""
    printed = last_lines(log, _PRINTED_LINES) or None
    with contextlib.suppress(OSError):
        log.unlink()
    last = (printed or "").splitlines()[-1:]
    error = ": ".join([ended.error, *last])
    return read_event_file(events, died=error, cause=ended.cause, printed=printed)

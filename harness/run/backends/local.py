"""Trials on this machine, one at a time: one fork server per round, and one new process per trial.

A thread of the driver samples the process of the trial from outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from harness.data.cache import tool_caches
from harness.errors import HarnessError
from harness.run.backends.base import Finished
from harness.run.job import Job
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.process_sampler import ProcessSampler
from harness.trial.outcome import Outcome, Sample, read_events, samples_of

# Without these variables glibc returns large blocks to the system after every step and gets them back by page
# faults, 50,000 per step. Training is up to a quarter faster in huge pages (2 MiB instead of 4 KiB), where
# the kernel lets a program ask for them.
WORKER_VARIABLES = MappingProxyType(
    {
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "4294967296",
        "MALLOC_TOP_PAD_": "67108864",
    }
)


LAST_LINE_BYTES = 10_000


class LocalBackend:
    """Trials on this machine. Use as a context manager."""

    def __init__(self, *, nvml: NvmlReader) -> None:
        self._nvml = nvml
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-backend")
        self._server: _Server | None = None
        self._in_round = False
        self._newest: LocalHandle | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="harness-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_part(self) -> None:
        self._in_round = False

    def begin_round(self) -> None:
        """Every round but the first of a part gets a new fork server.

        The first round may use the server of earlier trials, because none of its own trials was timed there.
        """
        if self._in_round:
            self._stop_server()
        self._in_round = True

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def submit(self, job: Job) -> LocalHandle:
        events = Path(self._folder.name) / f"{job.spec.id}.jsonl"
        handle = LocalHandle(events)
        complete = job.model_copy(update={"events": str(events), "shared": self._folder.name})
        handle.future = self._pool.submit(self._run, complete, handle)
        self._newest = handle
        return handle

    def close(self) -> None:
        """Also ends a trial that is still running."""
        if self._newest is not None:
            self._newest.cancel(grace_s=0.0)
        self._pool.shutdown()
        self._stop_server()
        self._folder.cleanup()

    def _run(self, job: Job, handle: LocalHandle) -> Finished:
        server = self._server = self._server or _Server(Path(self._folder.name) / "stderr")
        sampler = ProcessSampler(nvml=self._nvml, gpus=[job.gpu] if job.gpu else [])
        printed_before = server.printed_bytes()
        started = time.perf_counter()
        try:
            handle.began(server.fork(job))
            sampler.start(handle.pid)
            ending = _ending(server.wait())
        except ServerEndedError as error:
            self._stop_server()
            ending = str(error)
        finally:
            telemetry = tuple(sampler.stop())
            handle.ended()
        seconds = time.perf_counter() - started
        line = server.last_line(since=printed_before)
        outcome = _outcome(Path(job.events), died=f"{ending}: {line}" if line else ending)
        return Finished(
            outcome=outcome, seconds=seconds, telemetry=telemetry, nvml_reason=sampler.nvml_reason
        )


class LocalHandle:
    """A trial that is running or waiting."""

    def __init__(self, events: Path) -> None:
        self.future: Future[Finished]
        self.pid = 0
        self._events, self._read = events, 0
        self._changing = threading.Lock()
        self._cancelled = False

    def began(self, pid: int) -> None:
        with self._changing:
            self.pid = pid
        if self._cancelled:
            self._send(signal.SIGKILL)

    def ended(self) -> None:
        with self._changing:
            self.pid = 0

    def new_samples(self) -> list[Sample]:
        try:
            with self._events.open("rb") as file:
                file.seek(self._read)
                written = file.read()
        except FileNotFoundError:  # the trial has not begun, or it has ended
            return []
        lines = written[: written.rfind(b"\n") + 1]
        self._read += len(lines)
        return samples_of(lines.decode("utf-8").splitlines())

    def cancel(self, grace_s: float) -> None:
        self._cancelled = True  # `began` ends a process that is just being started
        if self.future.cancel():
            return
        for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
            self._send(number)
            wait([self.future], timeout=patience)
            if self.future.done():
                return

    def _send(self, number: signal.Signals) -> None:
        with self._changing, contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, number)


def _ending(status: int) -> str:
    if status < 0:
        return f"the worker was killed by {signal.Signals(-status).name}"
    return f"the worker ended with exit status {status}"


def _outcome(events: Path, *, died: str) -> Outcome:
    try:
        with events.open(encoding="utf-8") as lines:
            return read_events(lines, died=died)
    except FileNotFoundError:
        return Outcome(status="lost", error=died)
    finally:
        events.unlink(missing_ok=True)


class ServerEndedError(HarnessError):
    """The fork server has ended and its trial with it: a person killed it, or memory ran out."""


class _Server:
    """The driver's side of a fork server."""

    def __init__(self, log: Path) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.run.worker", "--serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**WORKER_VARIABLES, **tool_caches(), **os.environ},
                encoding="utf-8",
            )
        try:
            self._answer("ready")
        except ServerEndedError as error:
            raise HarnessError(f"cannot start a worker: {error}: {self.last_line()}") from None

    def fork(self, job: Job) -> int:
        """Start a process for the job and return its id."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer, which is reported
            self._process.stdin.write(job.model_dump_json() + "\n")
            self._process.stdin.flush()
        return int(self._answer("pid"))

    def wait(self) -> int:
        """The exit status of the newest process, negative if a signal ended it."""
        return int(self._answer("status"))

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def printed_bytes(self) -> int:
        """The number of bytes that workers have printed so far."""
        return self._log.stat().st_size

    def last_line(self, *, since: int = 0) -> str:
        """The last line that workers printed after the first `since` bytes."""
        with self._log.open("rb") as log:
            log.seek(max(since, self.printed_bytes() - LAST_LINE_BYTES))
            lines = log.read().decode("utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _answer(self, key: str) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerEndedError(_ending(self._process.wait()).replace("worker", "fork server"))
        return json.loads(line)[key]

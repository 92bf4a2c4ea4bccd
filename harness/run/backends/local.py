"""This machine: a fork server a round, one fresh process a trial, one trial at a time, watched from outside."""

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

from harness.errors import HarnessError
from harness.run.backends.base import Finished
from harness.run.job import Job
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.process_sampler import ProcessSampler
from harness.trial.outcome import Outcome, read_events

# glibc would return large blocks to the system after every step and fault them in again: 50,000 page faults a
# step. In huge pages (2 MiB instead of 4 KiB, where the kernel lets a program ask for them) training is up to
# a quarter faster.
WORKER_VARIABLES = MappingProxyType(
    {
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "4294967296",
        "MALLOC_TOP_PAD_": "67108864",
    }
)


LAST_WORDS_BYTES = 10_000


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
        """The first round of a part finds the fork server that other trials started: none of its own was
        timed in it.
        """
        if self._in_round:
            self._stop_server()
        self._in_round = True

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def submit(self, job: Job) -> LocalHandle:
        handle = LocalHandle()
        events = Path(self._folder.name) / f"{job.spec.id}.jsonl"
        placed = job.model_copy(update={"events": str(events), "shared": self._folder.name})
        handle.future = self._pool.submit(self._run, placed, handle)
        self._newest = handle
        return handle

    def close(self) -> None:
        """Ends a trial that still runs, too."""
        if self._newest is not None:
            self._newest.cancel(grace_s=0.0)
        self._pool.shutdown()
        self._stop_server()
        self._folder.cleanup()

    def _run(self, job: Job, handle: LocalHandle) -> Finished:
        server = self._server = self._server or _Server(Path(self._folder.name) / "stderr")
        sampler = ProcessSampler(nvml=self._nvml, gpus=[job.gpu] if job.gpu else [])
        heard = server.heard()
        started = time.perf_counter()
        try:
            handle.began(server.fork(job))
            sampler.start(handle.pid)
            how = _how(server.wait())
        except ServerEndedError as error:
            self._stop_server()
            how = str(error)
        finally:
            telemetry = tuple(sampler.stop())
            handle.ended()
        seconds = time.perf_counter() - started
        words = server.last_words(since=heard)
        outcome = _outcome(Path(job.events), died=f"{how}: {words}" if words else how)
        return Finished(
            outcome=outcome, seconds=seconds, telemetry=telemetry, nvml_reason=sampler.nvml_reason
        )


class LocalHandle:
    """A trial that runs, or waits for its turn."""

    def __init__(self) -> None:
        self.future: Future[Finished]
        self.pid = 0
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

    def cancel(self, grace_s: float) -> None:
        self._cancelled = True  # a process that is only just being started ends at once
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


def _how(status: int) -> str:
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
    """The fork server is gone, and the trial it ran with it: killed by a person, or for want of memory."""


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
                env={**WORKER_VARIABLES, **os.environ},
                encoding="utf-8",
            )
        try:
            self._answer("ready")
        except ServerEndedError as error:
            raise HarnessError(f"no worker can be started: {error}; {self.last_words()}") from None

    def fork(self, job: Job) -> int:
        """The id of the process that runs the job."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells what happened
            self._process.stdin.write(job.model_dump_json() + "\n")
            self._process.stdin.flush()
        return int(self._answer("pid"))

    def wait(self) -> int:
        """The exit status of the process forked last; negative for a signal."""
        return int(self._answer("status"))

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def heard(self) -> int:
        """Bytes that workers have printed so far."""
        return self._log.stat().st_size

    def last_words(self, *, since: int = 0) -> str:
        """The last line that was printed after the first `since` bytes."""
        with self._log.open("rb") as log:
            log.seek(max(since, self.heard() - LAST_WORDS_BYTES))
            lines = log.read().decode("utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _answer(self, key: str) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerEndedError(_how(self._process.wait()).replace("worker", "fork server"))
        return json.loads(line)[key]

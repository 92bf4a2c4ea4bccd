"""This machine: a fork server a round, one fresh process a trial, one trial at a time, watched from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from harness.errors import HarnessError
from harness.run.backends.base import Finished
from harness.run.job import Job
from harness.study.outcome import Outcome, read_events
from harness.telemetry.host import ProcessSampler
from harness.telemetry.nvml import NvmlReader

# glibc would return large blocks to the system after every step and fault them in again: 50,000 page faults a step.
WORKER_VARIABLES = MappingProxyType(
    {
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "4294967296",
        "MALLOC_TOP_PAD_": "67108864",
    }
)


class LocalBackend:
    """Trials on this machine. Use as a context manager."""

    def __init__(self, *, nvml: NvmlReader) -> None:
        self._nvml = nvml
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-backend")
        self._server: _Server | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="harness-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_round(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def submit(self, job: Job) -> LocalHandle:
        handle = LocalHandle()
        events = Path(self._folder.name) / f"{job.spec.id}.jsonl"
        placed = job.model_copy(update={"events": str(events)})
        handle.future = self._pool.submit(self._run, placed, handle)
        return handle

    def close(self) -> None:
        self.begin_round()
        self._pool.shutdown()
        self._folder.cleanup()

    def _run(self, job: Job, handle: LocalHandle) -> Finished:
        server = self._server = self._server or _Server(Path(self._folder.name) / "stderr")
        sampler = ProcessSampler(nvml=self._nvml, gpus=[job.gpu] if job.gpu else [])
        started = time.perf_counter()
        handle.pid = server.fork(job)
        sampler.start(handle.pid)
        try:
            status = server.wait()
        finally:
            telemetry = tuple(sampler.stop())
            handle.pid = None
        seconds = time.perf_counter() - started
        outcome = _outcome(Path(job.events), status, server.last_words())
        return Finished(
            outcome=outcome, seconds=seconds, telemetry=telemetry, nvml_reason=sampler.nvml_reason
        )


class LocalHandle:
    """A trial that runs, or waits for its turn."""

    def __init__(self) -> None:
        self.future: Future[Finished]
        self.pid: int | None = None

    def cancel(self, grace_s: float) -> None:
        if self.future.cancel():
            return
        for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
            if self.pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            with contextlib.suppress(TimeoutError):
                self.future.result(timeout=patience)
                return


def _outcome(events: Path, status: int, last_words: str) -> Outcome:
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
    died = f"the worker was {how}" if status < 0 else f"the worker {how}"
    if last_words:
        died += f": {last_words}"
    try:
        with events.open(encoding="utf-8") as lines:
            return read_events(lines, died=died)
    except FileNotFoundError:
        return Outcome(status="failed", error=died)
    finally:
        events.unlink(missing_ok=True)


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
        self._answer("ready")

    def fork(self, job: Job) -> int:
        """The id of the process that runs the job."""
        assert self._process.stdin is not None
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

    def last_words(self) -> str:
        """The last line that a worker printed."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _answer(self, key: str) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise HarnessError(f"the worker process ended with status {status}: {self.last_words()}")
        return json.loads(line)[key]

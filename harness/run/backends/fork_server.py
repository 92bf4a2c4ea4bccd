"""The driver's side of a fork server (`harness.run.worker`)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.data.cache import tool_caches
from harness.errors import HarnessError
from harness.run.job import Job
from harness.run.processes import MARK

# Without these variables glibc returns large blocks to the system after every step and gets them back by page
# faults, 50,000 per step. Training is up to a quarter faster in huge pages (2 MiB instead of 4 KiB), where
# the kernel lets a program ask for them.
WORKER_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "4294967296",
        "MALLOC_TOP_PAD_": "67108864",
    }
)

_STOP_S = 10.0


class ServerEndedError(HarnessError):
    """The fork server has ended and its trial with it: a person killed it, or memory ran out."""

    def __init__(self, status: int) -> None:
        super().__init__(ending_text(status, "fork server"))
        self.status = status


class ForkServer:
    """A process that starts a new process for each trial. `folder` is that of the driver. Torch is
    imported before the first trial, unless the trials need none.
    """

    def __init__(self, folder: Path, *, with_torch: bool = True) -> None:
        options = [] if with_torch else ["--without-torch"]
        log = folder / "server.log"
        self.with_torch = with_torch
        self._read = b""  # of its answers; several may come at once
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.run.worker", "--serve", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**WORKER_VARIABLES, **tool_caches(), **os.environ, MARK: str(folder)},
                start_new_session=True,  # what a terminal sends to the driver does not reach the trials
            )
        try:
            self._answer("ready")
        except ServerEndedError as error:
            raise HarnessError(f"cannot start a worker: {error}: {last_lines(log, 1)}") from None

    def fork(self, job: Job) -> int:
        """Start a process for the job and return its id. Raises ServerEndedError."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer, which is reported
            self._process.stdin.write(job.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        return int(self._answer("pid"))

    def status(self, patience_s: float) -> int | None:
        """The exit status of the newest process, negative if a signal ended it, or None if it has not ended
        after this time. Raises ServerEndedError.
        """
        assert self._process.stdout is not None
        if b"\n" not in self._read:
            ready, _, _ = select.select([self._process.stdout], [], [], patience_s)
            if not ready:
                return None
        return int(self._answer("status"))

    def stop(self) -> None:
        """End the server with all processes of its trial."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:  # it is stopped, or waits for a disk
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()

    def _answer(self, key: str) -> Any:
        """The next answer of the server, which is one line."""
        assert self._process.stdout is not None
        while b"\n" not in self._read:
            piece = os.read(self._process.stdout.fileno(), 4096)
            if not piece:
                raise ServerEndedError(self._process.wait())
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)[key]


def ending_text(status: int, what: str = "worker") -> str:
    """How a process with this exit status ended, in words."""
    if status < 0:
        return f"the {what} was killed by {signal_name(-status)}"
    return f"the {what} ended with exit status {status}"


def signal_name(number: int) -> str:
    """The name of a signal. Most signals of the range for programs have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_lines(log: Path, count: int, most_bytes: int = 20_000) -> str:
    """The last lines that were printed into a file; empty if there is no such file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - most_bytes))
            lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])

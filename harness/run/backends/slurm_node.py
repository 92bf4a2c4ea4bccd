"""What runs in a Slurm job: a worker that takes the trials of one driver from a folder, one at a time.

    python -P -m harness.run.backends.slurm_node FOLDER

It ends when the driver asks for it, when the driver has shown no sign of life for some minutes by the clock
of this process, or when Slurm ends the job. A job that was requeued never repeats a trial: whether there is
another attempt is decided by the driver.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from harness.errors import HarnessError, InputError
from harness.run.backends.base import Finished
from harness.run.backends.node_facts import check_folders
from harness.run.backends.node_trials import NodeTrials
from harness.run.backends.slurm_mailbox import (
    CANCEL,
    ENDED,
    FACTS,
    HEARTBEAT,
    JOB,
    LOOK_S,
    RESULT,
    SAMPLES,
    START,
    STOP,
    Mailbox,
    numbered,
)
from harness.trial.causes import Cause
from harness.trial.outcome import Sample

RESTARTS = "SLURM_RESTART_COUNT"
"""The variable in which Slurm says how often it has requeued the job."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def serve(folder: Path) -> None:
    """Run trials until the end. The file `ended` then says why it came to that."""
    box = Mailbox(folder)
    with _Asked() as asked:
        restarts = os.environ.get(RESTARTS, "")
        if restarts not in ("", "0") and any(name.startswith(JOB) for name in box.names()):
            _say_why(box, "the job was preempted and requeued")
            return
        start = box.get(START)
        trials = NodeTrials(start["variables"], start["folder"])
        try:
            check_folders([start["results"]], trials.facts().host)
            box.put(FACTS, asdict(trials.facts()))
            heartbeat = _Heartbeat(folder.parent / HEARTBEAT, start["patience_s"])
            reason = _Worker(box, trials, heartbeat).work(asked)
        except InputError as error:
            _say_why(box, error.message, hint=error.hint, is_input_error=True)
            return
        finally:
            trials.close()
        _say_why(box, reason)


def _say_why(box: Mailbox, reason: str, *, hint: str | None = None, is_input_error: bool = False) -> None:
    """Write why the worker ends, if its folder still exists."""
    cause = None if is_input_error else Cause.LOST_WORKER
    with contextlib.suppress(OSError):
        box.put(ENDED, {"cause": cause, "error": reason, "hint": hint})


class _Asked:
    """Whether a signal has asked this process to end, and which."""

    def __init__(self) -> None:
        self.by: str | None = None

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._receive) for number in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _receive(self, number: int, _: Any) -> None:
        self.by = signal.Signals(number).name


class _Heartbeat:
    """The sign of life of the driver: a file whose content changes. No clock of another machine counts."""

    def __init__(self, file: Path, patience_s: float) -> None:
        self._file, self._patience_s = file, patience_s
        self._seen, self._since = b"", time.monotonic()

    @property
    def has_stopped(self) -> bool:
        with contextlib.suppress(OSError):
            content = self._file.read_bytes()
            if content != self._seen:
                self._seen, self._since = content, time.monotonic()
        return time.monotonic() - self._since > self._patience_s


class _Worker:
    """Takes one job after the other, and lets the driver see what it does."""

    def __init__(self, box: Mailbox, trials: NodeTrials, heartbeat: _Heartbeat) -> None:
        self._box, self._trials, self._heartbeat = box, trials, heartbeat
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="slurm-node")  # one cancels while one runs
        self._number = self._cancelled = 0
        self._running: Future[Finished] | None = None

    def work(self, asked: _Asked) -> str:
        """Run the jobs of the driver. Returns why that has come to its end."""
        while asked.by is None:
            try:
                names = self._box.names()
            except FileNotFoundError:
                return "the folder of the worker was removed"
            except OSError:
                names = set()  # the file system is away for a moment
            if STOP in names:
                return "the driver stopped the worker"
            if self._heartbeat.has_stopped:
                return "the driver has shown no sign of life"
            self._go_on(names)
            time.sleep(LOOK_S)
        return f"Slurm asked the worker to end ({asked.by})"

    def _go_on(self, names: set[str]) -> None:
        if self._running is None and numbered(JOB, self._number + 1) in names:
            self._number += 1
            letter = self._box.get(numbered(JOB, self._number))
            self._running = self._threads.submit(
                self._trials.run, self._number, letter["job"], letter["folders"]
            )
        if self._running is None:
            return
        self._show(self._trials.new_samples())
        if numbered(CANCEL, self._number) in names and self._cancelled < self._number:
            self._cancelled = self._number
            grace_s = self._box.get(numbered(CANCEL, self._number))
            self._threads.submit(self._trials.cancel, self._number, grace_s)
        if self._running.done():
            self._box.put_bytes(numbered(RESULT, self._number), _result(self._running))
            self._running = None

    def _show(self, samples: Iterable[Sample]) -> None:
        """Append samples to the file that the driver reads while the trial runs."""
        lines = [json.dumps({"event": "sample", **sample._asdict()}) + "\n" for sample in samples]
        if lines:
            with (self._box.folder / numbered(SAMPLES, self._number)).open("a") as file:
                file.writelines(lines)


def _result(ended: Future[Finished]) -> bytes:
    """What a job gave, or the error of the harness, as the driver reads it."""
    error = ended.exception()
    if error is None:
        return pickle.dumps(ended.result())
    if isinstance(error, HarnessError):
        return pickle.dumps(error)
    return pickle.dumps(HarnessError(f"on a node: {type(error).__name__}: {error}"))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))

"""A lease for drivers of tests, with the name in the variable TEST_LEASE, and trouble for workers: with this
folder on PYTHONPATH, a trial that the variable FAULT describes meets its fate.

FAULT is JSON: `task`, `config` (settings the trial must have), `metric` and `step` (the report at which it
strikes), `skip` (how often it passes by first), `times` (how often it strikes then), `act` (the name of one
of `ACTS`, several joined by `+`, or a list with one for each time), `mark` (a file; a line with the process
id is added whenever it strikes or passes by), `until` (a file that ends the sleep of the act). `grace`
replaces the seconds that a driver leaves a trial to end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def _install(fault: dict[str, Any]) -> None:
    from harness.tasks.registry import TASKS

    task = TASKS[fault["task"]]
    original = task.run

    def run(self: Any, context: Any, record: Any) -> Any:
        def recording(metric: str, value: float, step: int = 0, /) -> None:
            record(metric, value, step)
            if metric == fault["metric"] and step == fault.get("step", 0):
                _meet(fault, Path(fault["mark"]), record)

        settings = self.plain()
        hit = all(settings[name] == value for name, value in fault.get("config", {}).items())
        return original(self, context, recording if hit else record)

    task.run = run  # type: ignore[method-assign]


def _meet(fault: dict[str, Any], mark: Path, record: Any) -> None:
    with mark.open("a") as file:
        file.write(f"{os.getpid()}\n")
    met, skip = len(mark.read_text().splitlines()), fault.get("skip", 0)
    acts = fault["act"] if isinstance(fault["act"], list) else [fault["act"]] * fault.get("times", 1)
    if skip < met <= skip + len(acts):
        for act in acts[met - skip - 1].split("+"):
            ACTS[act](record)


def _hang(_: Any) -> None:
    while True:
        signal.pause()


def _sleep(_: Any) -> None:
    until = Path(json.loads(os.environ["FAULT"])["until"])
    while not until.exists():
        time.sleep(0.01)


def _hang_on(record: Any) -> None:
    """Does not end when it is asked to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang(record)


def _raise(_: Any) -> None:
    raise RuntimeError("planted trouble")


def _line(text: str) -> Any:
    def write(record: Any) -> None:
        record.__self__._stream.write(text)
        record.__self__._stream.flush()

    return write


def _twice(record: Any) -> None:
    record("planted", 1.0, 3)
    record("planted", 2.0, 3)


def _fill_disk(record: Any) -> None:
    """The kernel answers that the device is full."""
    record.__self__._stream = Path("/dev/full").open("w")  # noqa: SIM115  the trial goes on with it
    record("planted", 1.0, 0)


def _flood(_: Any) -> None:
    while True:
        os.write(1, b"again and again\n" * 4096)


def _allocate(_: Any) -> None:
    blocks = []
    while True:
        blocks.append(b"x" * 2**24)


def _no_memory(_: Any) -> None:
    bytearray(2**62)


def _no_memory_in_torch(_: Any) -> None:
    import torch

    torch.empty(2**60, dtype=torch.uint8)


def _cuda_memory(_: Any) -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB")


def _descendants(_: Any) -> None:
    """Two processes that outlive the trial: one of its group and one that has left it."""
    import subprocess

    started = [subprocess.Popen(["sleep", "3600"], start_new_session=new) for new in (False, True)]
    mark = Path(json.loads(os.environ["FAULT"])["mark"] + ".started")
    mark.with_suffix(".new").write_text(" ".join(str(process.pid) for process in started))
    mark.with_suffix(".new").replace(mark)


def _kill_with(number: signal.Signals) -> Any:
    return lambda _: os.kill(os.getpid(), number)


ACTS = {
    "pass": lambda _: None,
    "hang": _hang,
    "sleep": _sleep,
    "hang on": _hang_on,
    "raise": _raise,
    "kill": _kill_with(signal.SIGKILL),
    "segfault": _kill_with(signal.SIGSEGV),
    "abort": lambda _: os.abort(),
    "exit": lambda _: os._exit(3),
    "exit well": lambda _: os._exit(0),
    "no JSON": _line("not json\n"),
    "quote": lambda record: record('a "quoted" name', 1.0, 0),
    "line end": lambda record: record("two\nlines", 1.0, 0),
    "twice": _twice,
    "full disk": _fill_disk,
    "flood": _flood,
    "allocate": _allocate,
    "no memory": _no_memory,
    "no memory in torch": _no_memory_in_torch,
    "CUDA memory": _cuda_memory,
    "descendants": _descendants,
}


if "harness.run.worker" not in sys.orig_argv:
    import harness.run.lease

    harness.run.lease.NAME = os.environ["TEST_LEASE"]
    grace = json.loads(os.environ.get("FAULT", "{}")).get("grace")
    if grace is not None:
        import harness.run.attempts

        harness.run.attempts.GRACE_S = grace
elif "FAULT" in os.environ:
    _install(json.loads(os.environ["FAULT"]))

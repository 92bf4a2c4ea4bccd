"""A lease for drivers of tests, with the name in the variable TEST_LEASE, and trouble for workers: with this
folder on PYTHONPATH, a trial that the variable FAULT describes meets its fate.

FAULT is JSON: `task`, `config` (settings the trial must have), `metric` and `step` (the report at which it
strikes), `skip` (how often it passes by first), `times` (how often it strikes then), `act` (hang, raise,
kill, or sleep until the file `until` exists), `mark` (a file; a line with the process id is added whenever it
strikes or passes by).
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
                _meet(fault, Path(fault["mark"]))

        settings = self.plain()
        hit = all(settings[name] == value for name, value in fault.get("config", {}).items())
        return original(self, context, recording if hit else record)

    task.run = run  # type: ignore[method-assign]


def _meet(fault: dict[str, Any], mark: Path) -> None:
    with mark.open("a") as file:
        file.write(f"{os.getpid()}\n")
    met, skip = len(mark.read_text().splitlines()), fault.get("skip", 0)
    if not skip < met <= skip + fault.get("times", 1):
        return
    if fault["act"] == "raise":
        raise RuntimeError("planted trouble")
    if fault["act"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    while fault["act"] == "sleep" and not Path(fault["until"]).exists():
        time.sleep(0.01)
    while fault["act"] == "hang":
        signal.pause()


if "harness.run.worker" not in sys.orig_argv:
    import harness.run.lease

    harness.run.lease.NAME = os.environ["TEST_LEASE"]
elif "FAULT" in os.environ:
    _install(json.loads(os.environ["FAULT"]))

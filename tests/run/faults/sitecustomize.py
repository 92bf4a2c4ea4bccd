"""Trouble for workers: with this folder on PYTHONPATH, a trial that the variable FAULT describes meets its fate.

FAULT is JSON: `task`, `config` (settings the trial must have), `metric` and `step` (the report at which it strikes),
`times` (how often at most), `act` (hang, raise, kill), `mark` (a file; a line with the process id is added at each strike).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def _install(fault: dict[str, Any]) -> None:
    from harness.tasks.registry import TASKS

    task = TASKS[fault["task"]]
    original = task.run
    mark = Path(fault["mark"])

    def run(self: Any, context: Any, report: Any) -> Any:
        def reporting(metric: str, value: float, step: int = 0, /) -> None:
            report(metric, value, step)
            if metric == fault["metric"] and step == fault.get("step", 0):
                _strike(fault["act"], mark, times=fault.get("times", 1))

        settings = self.plain()
        hit = all(settings[name] == value for name, value in fault.get("config", {}).items())
        return original(self, context, reporting if hit else report)

    task.run = run  # type: ignore[method-assign]


def _strike(act: str, mark: Path, *, times: int) -> None:
    struck = len(mark.read_text().splitlines()) if mark.exists() else 0
    if struck >= times:
        return
    with mark.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if act == "raise":
        raise RuntimeError("planted trouble")
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    while act == "hang":
        signal.pause()


if "harness.run.worker" in sys.orig_argv and "FAULT" in os.environ:
    _install(json.loads(os.environ["FAULT"]))

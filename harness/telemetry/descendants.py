"""The descendants of a process, at a cost that does not grow with the number of processes of the machine."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

_LISTS_CHILDREN = Path("/proc/thread-self/children").exists()


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """The living descendants. Raises psutil.NoSuchProcess if the process has ended.

    Linux lists the children of each thread. On other systems, all processes of the machine are read.
    """
    if not _LISTS_CHILDREN:
        return process.children(recursive=True)
    below: list[psutil.Process] = []
    pids = _children(process.pid)
    while pids:
        pid = pids.pop()
        with contextlib.suppress(psutil.NoSuchProcess):
            below.append(psutil.Process(pid))
            pids += _children(pid)
    return below


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    try:
        threads = list(tasks.iterdir())
    except OSError:
        raise psutil.NoSuchProcess(pid) from None
    pids: list[int] = []
    for thread in threads:
        with contextlib.suppress(OSError):  # the thread has ended
            pids += map(int, (thread / "children").read_text(encoding="ascii").split())
    return pids

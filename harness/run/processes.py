"""The processes of a trial: its group, what escaped from it, and what a driver that died has left.

Every process that a driver starts, directly or not, inherits the variable `MARK` with a folder in that of the
driver. So its processes can be recognised when nobody is their parent any more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import psutil

MARK = "HARNESS_DRIVER_FOLDER"

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PATIENCE_S, _LOOK_S = 10.0, 0.005


def signal_at_death_of(parent: int, number: signal.Signals) -> None:
    """Ask the kernel (of Linux) to send this process a signal when its parent ends. If the parent has ended
    already, this process ends here.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parents end (on Linux). They can then be ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def begin_group(pid: int) -> None:
    """Make a process the leader of a group. It and its parent both call this, because either may be first."""
    with contextlib.suppress(OSError):  # it has ended, or it is a leader already
        os.setpgid(pid, pid)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to all processes of a group, if there are any."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def end_children() -> None:
    """Kill every descendant of this process and wait until all of them have gone."""
    deadline = time.monotonic() + _PATIENCE_S
    while _has_children() and time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()
        _reap()


def _has_children() -> bool:
    """Whether this process has children that have not ended. It waits for those that have."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return True
    return False


def _reap() -> None:
    """Wait until one child has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, 0)


def end_marked(folder: Path) -> None:
    """Kill the processes whose mark is this folder or one in it, and wait until they have ended. This process
    and its parents are left alone.
    """
    mark = f"{MARK}={folder}".encode()
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    marked = [
        process
        for process in psutil.process_iter()
        if process.pid not in mine
        and any(one == mark or one.startswith(mark + b"/") for one in _environment(process.pid))
    ]
    for process in marked:
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + _PATIENCE_S
    while not all(map(has_ended, marked)) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)


def has_ended(process: psutil.Process) -> bool:
    """Whether the process runs no more. One for which nobody has waited yet has ended as well."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _environment(pid: int) -> list[bytes]:
    """The variables with which a process was started. Empty if it belongs to somebody else."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []

"""How a trial ended that did not write its own ending, and which kind of cause that is."""

from __future__ import annotations

from typing import NamedTuple

from harness.run.backends.fork_server import ending_text, signal_name
from harness.run.backends.memory_group import MemoryGroup
from harness.telemetry.cgroup import Cgroup, host_oom_kills
from harness.trial.causes import FULL_DISK_STATUS, Cause

_OWN_FAULT = frozenset({"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGXCPU", "SIGXFSZ"})


class Ending(NamedTuple):
    """The cause, and a sentence about it."""

    cause: Cause
    error: str


class MemoryKills:
    """Whether the kernel has ended a process because memory ran out, since this object was made: one of the
    group of the trial or of this process or, where no group counts it, one of the whole machine.
    """

    def __init__(self, of_trial: MemoryGroup | None) -> None:
        self._of_trial, self._group = of_trial, Cgroup()
        self._before = self._count()

    def any(self) -> bool:
        if self._of_trial is not None and self._of_trial.has_killed:
            return True
        before, now = self._before, self._count()
        return before is not None and now is not None and now > before

    def _count(self) -> int | None:
        in_group = self._group.oom_kills()
        return host_oom_kills() if in_group is None else in_group


def ending(status: int, kills: MemoryKills, *, what: str = "worker") -> Ending:
    """The ending of a process with this exit status, which is negative if a signal ended it."""
    text = ending_text(status, what)
    if status >= 0:
        if status == FULL_DISK_STATUS:
            return Ending(Cause.FULL_DISK, "the disk was full, so the trial could not write its results")
        return Ending(Cause.NO_RESULT, text)
    name = signal_name(-status)
    if name == "SIGSEGV":
        return Ending(Cause.SEGFAULT, text)
    if name in _OWN_FAULT:
        return Ending(Cause.CRASH, text)
    if name == "SIGKILL" and kills.any():
        return Ending(Cause.HOST_MEMORY, f"{text}, because the host had no more memory")
    return Ending(Cause.KILLED, text)

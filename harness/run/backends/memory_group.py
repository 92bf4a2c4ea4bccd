"""A control group with a limit of memory for one trial, where this machine lets the driver make one."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import Self

import psutil

from harness.telemetry.cgroup import Cgroup

_PREFIX = "harness-memory-"
_numbers = itertools.count()


class MemoryGroup:
    """A group below that of the driver. The kernel kills a trial in it that needs more memory than `limit`
    bytes, however fast the trial takes them.
    """

    def __init__(self, folder: Path, limit: int, files: dict[str, int]) -> None:
        """Raises OSError if the group cannot be made, or if the kernel knows no such limits."""
        self._folder, self.limit = folder, limit
        folder.mkdir()
        try:
            for name, number in files.items():
                (folder / name).write_text(str(number), encoding="ascii")
        except OSError:
            folder.rmdir()
            raise
        self._kills_before, self._shortages_before = self._kills(), self._shortages()

    @classmethod
    def with_limit(cls, limit: int) -> Self | None:
        """A new group, or None if this machine allows none. Groups of drivers that died are removed."""
        groups = Cgroup()
        for controller, files in (
            ("memory", {"memory.limit_in_bytes": limit, "memory.swappiness": 0}),
            ("", {"memory.max": limit, "memory.swap.max": 0}),
        ):
            parent = groups.folder(controller)
            if parent is None:
                continue
            _sweep(parent)
            with contextlib.suppress(OSError):
                return cls(parent / f"{_PREFIX}{os.getpid()}-{next(_numbers)}", limit, files)
        return None

    def add(self, pid: int) -> None:
        """Move a process into the group. Its later children are in the group as well."""
        with contextlib.suppress(OSError):  # it has ended already
            (self._folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    @property
    def has_killed(self) -> bool:
        """Whether the kernel has killed a process of the group, because the group, one above it or the host
        had no more memory.
        """
        return self._kills() > self._kills_before

    @property
    def has_reached_limit(self) -> bool:
        """Whether the group needed more than its limit. If not, what the kernel has killed was killed because
        there was no memory outside of the group.
        """
        return self._shortages() > self._shortages_before

    def remove(self) -> None:
        """Remove the group, whose processes have ended."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _kills(self) -> int:
        return self._count("memory.oom_control", "oom_kill ") or self._count("memory.events", "oom_kill ")

    def _shortages(self) -> int:
        """How often the limit was reached. Version 1 counts it also if the kernel then made room, by dropping
        pages of files; version 2 counts only those that were about to end in a kill.
        """
        return self._count("memory.failcnt", "") or self._count("memory.events", "oom ")

    def _count(self, name: str, key: str) -> int:
        """The number after `key` in a file of the group; 0 if there is none."""
        with contextlib.suppress(OSError):
            lines = (self._folder / name).read_text(encoding="ascii").splitlines()
            return sum(int(line.removeprefix(key)) for line in lines if line.startswith(key))
        return 0


def _sweep(parent: Path) -> None:
    """Remove the groups that drivers have left that do not exist any more. One with a process stays."""
    for folder in parent.glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            with contextlib.suppress(OSError):
                folder.rmdir()

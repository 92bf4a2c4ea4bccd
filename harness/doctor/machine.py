"""Where the checks look, so that tests can give them another machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.machine.environment import affinity_cores, cores_within
from harness.store.file_system import FileSystem, file_system
from harness.telemetry.cgroup import Cgroup
from harness.telemetry.host_clocks import wall_clock_is_synchronised


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The root of its file system, and the folders that the harness writes to.

    `store` is a database file or a URL, `affinity` the number of cores that this process may run on.
    `synchronised` says whether the wall clock is, and `pause` waits for a number of seconds.
    """

    results: Path
    reports: Path
    cache: Path
    store: str
    root: Path = Path("/")
    affinity: int = field(default_factory=affinity_cores)
    synchronised: Callable[[], bool | None] = wall_clock_is_synchronised
    pause: Callable[[float], None] = time.sleep

    @property
    def proc(self) -> Path:
        return self.root / "proc"

    @property
    def cpus(self) -> Path:
        return self.root / "sys/devices/system/cpu"

    @property
    def usable_cores(self) -> int:
        return cores_within(self.affinity, Cgroup(proc=self.proc).cpu_quota())

    def file_system(self, path: Path) -> FileSystem:
        """The file system of a path, which need not exist."""
        return file_system(path, self.proc / "self/mountinfo")

    def line(self, path: str) -> str | None:
        """The first line of a file below the root, without blanks around it. None if there is none."""
        text = self.text(path).strip()
        return text.splitlines()[0] if text else None

    def text(self, path: str) -> str:
        """The content of a file below the root; empty if it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

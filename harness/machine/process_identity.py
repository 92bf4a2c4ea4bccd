"""What tells a process from all others, also from a later one with the same id. No clock changes it."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process. `machine` identifies the boot of its machine and its namespace of process ids; it is empty
    where the system does not tell. `started` is its start in ticks since the boot.
    """

    host: str
    machine: str
    pid: int
    started: int | None

    @classmethod
    def of_this_process(cls) -> ProcessIdentity:
        pid = os.getpid()
        return cls(host=socket.gethostname(), machine=_machine(), pid=pid, started=_started(pid))

    @property
    def is_of_this_machine(self) -> bool:
        """Whether the process ran on this machine since its last boot, and in this namespace."""
        return bool(self.machine) and self.machine == _machine()

    @property
    def has_ended(self) -> bool:
        """Whether this process is known to have ended. False for processes of other machines and namespaces,
        and for those before the last boot.
        """
        return self.is_of_this_machine and _started(self.pid) != self.started

    @property
    def is_of_an_earlier_boot(self) -> bool:
        """Whether the process ran on this machine before it was booted."""
        boot, here = self.machine.partition(" ")[0], _machine().partition(" ")[0]
        return bool(boot and here) and self.host == socket.gethostname() and boot != here


def _machine() -> str:
    with contextlib.suppress(OSError):
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    return ""


def _started(pid: int) -> int | None:
    """The start of a process in ticks since the boot. None if there is no such process, or if it has ended
    and nobody has waited for it.
    """
    with contextlib.suppress(OSError):
        state, *others = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else int(others[18])
    return None

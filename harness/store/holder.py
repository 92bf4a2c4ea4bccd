"""A lock for file systems whose own locks may exclude nobody: a file that only one process can create.

It says who holds it. A holder on this machine that has ended is recognised and replaced. Whether a process of
another machine still runs cannot be seen from here, so its file stays until a person removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import Location, StoreError

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process. `machine` identifies the boot of its machine and its namespace of process ids. `started` is
    its start in ticks since the boot, which no clock can change.
    """

    host: str
    machine: str
    pid: int
    started: int | None

    @classmethod
    def this_process(cls) -> Holder:
        pid = os.getpid()
        return cls(host=socket.gethostname(), machine=_machine(), pid=pid, started=_started(pid))

    @property
    def has_ended(self) -> bool:
        """Whether this process is known to have ended. False for processes of other machines."""
        return bool(self.machine) and self.machine == _machine() and _started(self.pid) != self.started


def hold(path: Path) -> Callable[[], None] | None:
    """Create the file for this process. Returns what removes it, or None while another process of this
    machine holds it.

    Raises StoreError if a process of another machine may hold it, and OSError if it cannot be created.
    """
    me = Holder.this_process()

    def release() -> None:
        if _holder(path) == me:
            path.unlink(missing_ok=True)

    if _created(path, me):
        return release
    other = _holder(path)
    if other is not None and other.has_ended:
        return release if _replaced(path, me) else None
    if other is not None and other.machine == me.machine:
        return None
    who = f"process {other.pid} on {other.host}" if other else "another process"
    raise StoreError(
        f"{who} holds this run, and its file system does not tell whether that process still runs",
        at=Location(str(path)),
        hint="if it has ended, remove this file",
    )


def _created(path: Path, holder: Holder) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(holder), file)
        file.flush()
        os.fsync(descriptor)
    return True


def _replaced(path: Path, holder: Holder) -> bool:
    """Take the place of a holder that has ended. Only one process at a time tries it: who made a folder."""
    turn = path.with_name(f"{path.name}.turn")
    try:
        turn.mkdir()
    except FileExistsError:
        raise StoreError(
            "another process is just taking this run over from one that has ended",
            at=Location(str(turn)),
            hint="if no other driver is starting, remove this folder",
        ) from None
    try:
        before = _holder(path)
        if before is not None and not before.has_ended:
            return False
        path.unlink(missing_ok=True)
        return _created(path, holder)
    finally:
        turn.rmdir()


def _holder(path: Path) -> Holder | None:
    """The holder that the file names. None if there is no file, or if it is not complete."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    return None


def _machine() -> str:
    """Empty if this system does not tell."""
    with contextlib.suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    return ""


def _started(pid: int) -> int | None:
    """The start of a process in ticks since the boot. None if there is no such process, or if it has ended
    and nobody has waited for it.
    """
    with contextlib.suppress(OSError):
        state, *others = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else int(others[18])
    return None

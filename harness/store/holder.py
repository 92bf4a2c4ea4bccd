"""A lock for file systems whose own locks may exclude nobody: a file that only one process can create.

It says who holds it. A holder on this machine that has ended is recognised and replaced. Whether a process of
another machine still runs cannot be seen from here, so its file stays until a person removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from harness.errors import Location, StoreError
from harness.machine.process_identity import ProcessIdentity


def hold(path: Path) -> Callable[[], None] | None:
    """Create the file for this process. Returns what removes it, or None while another process of this
    machine holds it.

    Raises StoreError if a process of another machine may hold it, and OSError if it cannot be created.
    """
    me = ProcessIdentity.of_this_process()

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


def _created(path: Path, holder: ProcessIdentity) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(holder), file)
        file.flush()
        os.fsync(descriptor)
    return True


def _replaced(path: Path, holder: ProcessIdentity) -> bool:
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


def _holder(path: Path) -> ProcessIdentity | None:
    """The holder that the file names. None if there is no file, or if it is not complete."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return ProcessIdentity(**json.loads(path.read_text(encoding="utf-8")))
    return None

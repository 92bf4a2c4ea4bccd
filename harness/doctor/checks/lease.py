"""Whether a driver has locked this machine. This only looks: it takes no lock and connects to nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.run import lease


def check_lease(machine: Machine) -> Iterator[Finding]:
    holders = [*_socket_holders(machine.proc), *_file_holders(machine)]
    if not holders:
        yield Finding(subject="lease", state="ok", seen="no driver is training or measuring")
        return
    process = next((pid for pid in holders if pid), None)
    who = f"process {process}" if process else "a driver of another user or container"
    yield Finding(
        subject="lease",
        state="limited",
        seen=f"{who} is training or measuring on this machine",
        meaning="`harness run` waits until it has finished",
        advice="wait, or end that process",
    )


def _socket_holders(proc: Path) -> Iterator[int | None]:
    """The process that listens on the socket of the lease; None if it cannot be seen which one does."""
    for line in _lines(proc / "net/unix"):
        fields = line.split()
        if fields[-1] == f"@{lease.NAME}" and fields[3] == _LISTENING:
            yield _owner(proc, f"socket:[{fields[6]}]")


_LISTENING = "00010000"
"""The flag of a socket that listens, in /proc/net/unix."""


def _owner(proc: Path, target: str) -> int | None:
    for link in proc.glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) == target:
                return int(link.parent.parent.name)
    return None


def _file_holders(machine: Machine) -> Iterator[int | None]:
    """The processes that hold the lock of a file of the lease, from the kernel's list of locks."""
    files = []
    for folder in lease.FOLDERS:
        with contextlib.suppress(OSError):
            files.append((machine.root / folder.relative_to("/") / f"{lease.NAME}.lock").lstat())
    inodes = {f"{os.major(f.st_dev):02x}:{os.minor(f.st_dev):02x}:{f.st_ino}" for f in files}
    for line in _lines(machine.proc / "locks"):
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5] in inodes:
            pid = int(fields[4])
            yield pid if pid > 0 else None  # a process of another container has no number here


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []

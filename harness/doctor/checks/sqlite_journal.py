"""The journal that the store uses: it follows from the version of SQLite and from the file system."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.store.engine import parse_location, uses_wal
from harness.store.file_system import FileSystem


def check_sqlite_journal(machine: Machine) -> Iterator[Finding]:
    version, url = sqlite3.sqlite_version, parse_location(machine.store)
    if url.get_backend_name() != "sqlite":
        yield Finding(subject="SQLite", state="ok", seen=f"version {version}; the store is a server")
        return
    system = machine.file_system(Path(str(url.database)))
    if uses_wal(system):
        yield Finding(subject="SQLite", state="ok", seen=f"version {version}: write-ahead log (WAL)")
    elif not system.is_local:
        yield Finding(
            subject="SQLite",
            state="ok",
            seen=f"version {version}: rollback journal, because of the file system of the store",
        )
    else:
        yield Finding(
            subject="SQLite",
            state="limited",
            seen=f"version {version}: rollback journal",
            meaning="this version can damage a database in WAL mode, so readers wait while a driver writes",
            advice="use a Python with SQLite 3.51.3, 3.50.7, 3.44.6 or newer, to read without waiting",
        )
    yield _system(system)


def _system(system: FileSystem) -> Finding:
    subject = "file system of the store"
    if system.is_local:
        return Finding(subject=subject, state="ok", seen=f"{system.kind}, which only this machine uses")
    seen = f"{system.kind}, which other machines may share: rollback journal, synchronous=EXTRA"
    if system.locks_reach_others:
        return Finding(
            subject=subject,
            state="limited",
            seen=f"{seen}; locks reach other machines",
            meaning="readers wait while a driver writes, and every commit waits for the disk of the server; "
            "nothing that was acknowledged is lost",
            advice="keep the store on a disk of this machine (--store), or use PostgreSQL",
        )
    return Finding(
        subject=subject,
        state="limited",
        seen=f"{seen}; locks do not reach other machines",
        meaning="SQLite cannot tell two machines apart: if both write at the same time, they can damage the "
        "store; a file beside it keeps out a second driver of a run",
        advice="keep the store on a disk of this machine (--store), use PostgreSQL, or let one machine at a "
        "time use this store",
    )

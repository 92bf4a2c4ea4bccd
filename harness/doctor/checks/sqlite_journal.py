"""The version of SQLite, and the journal that the store uses with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.store.engine import parse_location, wal_is_sound


def check_sqlite_journal(machine: Machine) -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    if parse_location(machine.store).get_backend_name() != "sqlite":
        yield Finding(subject="SQLite", state="ok", seen=f"version {version}; the store is a server")
    elif wal_is_sound(tuple(map(int, version.split(".")))):
        yield Finding(subject="SQLite", state="ok", seen=f"version {version}: write-ahead log (WAL)")
    else:
        yield Finding(
            subject="SQLite",
            state="limited",
            seen=f"version {version}: rollback journal",
            meaning="this version can damage a database in WAL mode, so readers wait while a driver writes",
            advice="use a Python with SQLite 3.51.3, 3.50.7, 3.44.6 or newer, to read without waiting",
        )

"""Whether the file of a database is damaged: bad disks flip pages, and whoever writes into such a file makes
it worse.

A store of up to 64 MiB is checked completely whenever it is opened, rows and indexes. In a larger one, every
table and index but the samples and the telemetry is checked in the same way. Of those two, every page is read
with a check of its cells, for at most two seconds per table. `harness store check` checks everything.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from harness.store.engine import database_error
from harness.store.failures import DAMAGED
from harness.store.tables import samples, telemetry

COMPLETE_BYTES = 64 * 2**20
PAGES_SECONDS = 2.0
MOST_PROBLEMS = 100

_LARGE = {samples.name, telemetry.name}


def refuse_damaged(connection: Connection) -> None:
    """Raises StoreError if the database is damaged. On PostgreSQL this is the task of the server."""
    if connection.dialect.name == "sqlite":
        for problem in _first_problems(connection):
            damage = replace(DAMAGED, message=f"{DAMAGED.message} ({problem})")
            raise database_error(connection.engine.url, damage)


def damages(connection: Connection) -> list[str]:
    """The problems of a complete check of a SQLite database, and rows that refer to rows that are not there.
    If there are many, the others are not listed. On PostgreSQL this is the task of the server.
    """
    if connection.dialect.name != "sqlite":
        return []
    try:
        problems = list(_complete(connection))
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MOST_PROBLEMS)
    except DBAPIError as error:
        return [str(error.orig)]
    problems += (
        f"row {row} of {table} refers to a row of {parent} that is not there"
        for table, row, parent, _ in broken
    )
    return problems[:MOST_PROBLEMS]


def _first_problems(connection: Connection) -> Iterator[str]:
    pages, size = (
        connection.exec_driver_sql(f"PRAGMA page_{name}").scalar_one() for name in ("count", "size")
    )
    if pages * size <= COMPLETE_BYTES:
        yield from _complete(connection)
        return
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    for table in sorted(tables - _LARGE):
        yield from _complete(connection, table)
    for table in sorted(tables & _LARGE):
        _read_every_page(connection, table)


def _complete(connection: Connection, table: str = "") -> Iterator[str]:
    """The problems of everything, or of one table with its indexes."""
    answers = connection.exec_driver_sql(f"PRAGMA integrity_check({table or MOST_PROBLEMS})")
    for answer in answers.scalars().all():
        for line in str(answer).splitlines():
            if line != "ok" and not line.startswith("*** in database"):
                yield line


def _read_every_page(connection: Connection, table: str) -> None:
    """SQLite raises an error at a page that is damaged (`cell_size_check` is on)."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    alarm = threading.Timer(PAGES_SECONDS, raw.interrupt)
    alarm.start()
    try:
        connection.exec_driver_sql(f"SELECT count(*) FROM {table} NOT INDEXED").scalar_one()
    except OperationalError as error:
        if "interrupted" not in str(error.orig):
            raise
    finally:
        alarm.cancel()

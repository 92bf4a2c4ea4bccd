"""One driver per run: a lock that ends with the process that holds it, however that process ends.

The kernel (with a locked file beside the SQLite database) or the PostgreSQL server (with an advisory lock of
a connection) notices when that process ends. A row with a host and a process id could not show that reliably.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from harness.errors import StoreError
from harness.store.engine import shown_location, translated

Release = Callable[[], None]


def try_lock(engine: Engine, run_id: str) -> Release | None:
    """Lock a run; returns what releases it, or None while another driver holds the lock.

    Raises StoreError if the lock file cannot be created.
    """
    if engine.dialect.name == "sqlite":
        database = Path(str(engine.url.database))
        return _lock_file(database.with_name(f"{database.name}.{run_id}.lock"), engine)
    return _advisory_lock(engine, run_id)


def _lock_file(path: Path, engine: Engine) -> Release | None:
    """A locked file. Workers do not inherit it, so a worker that outlives its driver holds no lock."""

    def release() -> None:
        path.unlink(missing_ok=True)
        os.close(descriptor)

    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(
                f"cannot create a lock file beside the database ({error.strerror})",
                at=shown_location(engine.url),
                hint="check the permissions of its folder",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_at(path, descriptor):
            return release
        os.close(descriptor)  # the former holder removed this file after it was opened here


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _advisory_lock(engine: Engine, run_id: str) -> Release | None:
    key = int.from_bytes(hashlib.sha256(f"run {run_id}".encode()).digest()[:8], "big", signed=True)

    def release() -> None:
        with suppress(DBAPIError):  # a broken connection has already lost its lock
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        connection.close()

    with translated(engine.url):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one():
            return release
        connection.close()
    return None

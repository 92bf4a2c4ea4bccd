"""One driver per run: a lock that ends with the process that holds it, however that process ends.

The kernel (with a locked file beside the SQLite database) or the PostgreSQL server (with an advisory lock of
a connection) notices when that process ends. A row with a host and a process id could not show that reliably.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from harness.errors import StoreError
from harness.store.engine import shown_location, translated


class RunLock(Protocol):
    def release(self) -> None: ...


def try_lock(engine: Engine, run_id: str) -> RunLock | None:
    """The lock of a run, or None while another driver holds it.

    Raises StoreError if the lock file cannot be created.
    """
    if engine.dialect.name == "sqlite":
        database = Path(str(engine.url.database))
        return _FileLock.take(database.with_name(f"{database.name}.{run_id}.lock"), engine)
    return _AdvisoryLock.take(engine, run_id)


class _FileLock:
    """A locked file. Workers do not inherit it, so a worker that outlives its driver holds no lock."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, engine: Engine) -> _FileLock | None:
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
                return cls(path, descriptor)
            os.close(descriptor)  # the former holder removed this file after it was opened here

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


class _AdvisoryLock:
    def __init__(self, connection: Connection, key: int) -> None:
        self._connection = connection
        self._key = key

    @classmethod
    def take(cls, engine: Engine, run_id: str) -> _AdvisoryLock | None:
        key = int.from_bytes(hashlib.sha256(f"run {run_id}".encode()).digest()[:8], "big", signed=True)
        with translated(engine.url):
            connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one():
                return cls(connection, key)
            connection.close()
        return None

    def release(self) -> None:
        with suppress(DBAPIError):  # a broken connection has already lost its lock
            self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": self._key})
        self._connection.close()

"""One driver per run: a lock that ends with the process that holds it, however that process ends.

The kernel (with a locked file beside the SQLite database) or the PostgreSQL server (with an advisory lock of
a connection) notices when that process ends. A row with a host and a process id could not show that reliably.
Where the locks of the file system exclude nobody, or nobody on other machines, a second file is created that
only one process can create (`harness.store.holder`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from abc import ABC, abstractmethod
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from harness.store.engine import database_error, translated
from harness.store.failures import Meaning
from harness.store.file_system import file_system
from harness.store.holder import hold


class RunLock(ABC):
    """A lock that this process holds."""

    @abstractmethod
    def release(self) -> None:
        """Let other drivers have the run."""

    @abstractmethod
    def is_held(self) -> bool:
        """Whether the lock is still held. A lost one is taken again if no other process has it."""


def try_lock(engine: Engine, run_id: str) -> RunLock | None:
    """Lock a run, or return None while another driver holds the lock.

    Raises StoreError if the lock file cannot be created.
    """
    if engine.dialect.name == "sqlite":
        database = Path(str(engine.url.database))
        try:
            return _lock_files(database.with_name(f"{database.name}.{run_id}.lock"))
        except OSError as error:
            problem = f"cannot create a lock file beside the database ({error.strerror})"
            known = Meaning(problem, "check the permissions of its folder")
            raise database_error(engine.url, known) from error
    lock = _AdvisoryLock(engine, run_id)
    return lock if lock.is_held() else None


class _FileLock(RunLock):
    """Locked files. Workers do not inherit them, so a worker that outlives its driver holds no lock."""

    def __init__(self, files: contextlib.ExitStack) -> None:
        self._files = files

    def release(self) -> None:
        self._files.close()

    def is_held(self) -> bool:
        return True  # the kernel takes it from no living process


def _lock_files(path: Path) -> RunLock | None:
    with contextlib.ExitStack() as files:
        excluded = _lock_file(path, files)
        if excluded is None:
            return None
        if not excluded or not file_system(path).locks_reach_others:
            release = hold(path.with_suffix(".holder"))
            if release is None:
                return None
            files.callback(release)
        return _FileLock(files.pop_all())


def _lock_file(path: Path, files: contextlib.ExitStack) -> bool | None:
    """Lock a file until `files` is closed. Returns whether the lock really excludes others, or None if
    another process holds it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            excludes = not _can_be_locked(path)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # this file system has no locks
            excludes = False
        if _is_at(path, descriptor):
            files.callback(os.close, descriptor)
            files.callback(path.unlink, missing_ok=True)
            return excludes
        os.close(descriptor)  # the former holder removed this file after it was opened here


def _can_be_locked(path: Path) -> bool:
    """Whether somebody else can lock a file that this process has locked: some mounts ignore locks."""
    try:
        second = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(second)
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


class _AdvisoryLock(RunLock):
    """A lock of a connection to the PostgreSQL server, which ends with the connection."""

    def __init__(self, engine: Engine, run_id: str) -> None:
        key = hashlib.sha256(f"run {run_id}".encode()).digest()[:8]
        self._engine, self._key = engine, int.from_bytes(key, "big", signed=True)
        self._connection: Connection | None = None

    def release(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(DBAPIError):  # a broken connection has already lost its lock
                self._ask("pg_advisory_unlock", self._connection)
            self._drop(self._connection)

    def is_held(self) -> bool:
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
            except DBAPIError:
                self._drop(self._connection)
            else:
                return True
        with translated(self._engine.url):
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if self._ask("pg_try_advisory_lock", connection):
                self._connection = connection
                return True
            connection.close()
        return False

    def _drop(self, connection: Connection) -> None:
        """Close the connection itself: it may belong to a pool that nobody uses any more."""
        connection.invalidate()
        connection.close()
        self._connection = None

    def _ask(self, function: str, connection: Connection) -> bool:
        answer: bool = connection.execute(text(f"SELECT {function}(:key)"), {"key": self._key}).scalar_one()
        return answer

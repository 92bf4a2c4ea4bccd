"""One driver per run of a SQLite database: a lock that ends with the process that holds it, however that
process ends.

The kernel notices when the process ends, by a locked file beside the database. A row with a host and a
process id could not show that reliably. Where the locks of the file system exclude nobody, or nobody on other
machines, a second file is created that only one process can create (`harness.store.holder`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from harness.store.engine import database_error
from harness.store.failures import Meaning
from harness.store.file_system import file_system
from harness.store.holder import hold


def try_lock(url: URL, run_id: str) -> Callable[[], None] | None:
    """Lock a run in the SQLite database at `url`. Returns what unlocks it, or None while another driver holds
    the lock. Workers do not inherit it, so a worker that outlives its driver holds no lock.

    Raises StoreError if the lock file cannot be created.
    """
    database = Path(str(url.database))
    try:
        return _lock_files(database.with_name(f"{database.name}.{run_id}.lock"))
    except OSError as error:
        problem = f"cannot create a lock file beside the database ({error.strerror})"
        known = Meaning(problem, "check the permissions of its folder")
        raise database_error(url, known) from error


def _lock_files(path: Path) -> Callable[[], None] | None:
    with contextlib.ExitStack() as files:
        excluded = _lock_file(path, files)
        if excluded is None:
            return None
        if not excluded or not file_system(path).locks_reach_others:
            release = hold(path.with_suffix(".holder"))
            if release is None:
                return None
            files.callback(release)
        return files.pop_all().close


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

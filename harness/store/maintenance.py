"""Care of a store: a complete check, a copy, and a smaller file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from harness.errors import Location, StoreError
from harness.store.changes import changes
from harness.store.engine import make_engine, parse_location, reading, shown_location
from harness.store.failures import DAMAGED
from harness.store.integrity import damages
from harness.store.migrate import HEAD, has_tables, table_version
from harness.store.read import Reader
from harness.store.store import open_store

_PAGES_AT_ONCE = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    """`problems` say what is wrong; if a file has very many, the others are left out. `notes` say what could
    not be checked.
    """

    store: str
    runs: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def check_store(location: str) -> StoreCheck:
    """Check the file of a SQLite store, what its rows refer to, the chain of each run, and the ids of its
    trials. Nothing is written.

    Raises StoreError if the store cannot be read.
    """
    url = parse_location(location)
    engine = make_engine(url, read_only=True)
    try:
        version, problems = _check_tables(engine)
        on_server = engine.dialect.name == "postgresql"
        notes = ["the server checks its files itself (pg_amcheck)"] if on_server else []
        runs = 0
        if version == HEAD:
            runs, changed, unknown = _check_runs(engine)
            problems += changed
            notes += unknown
        elif version:
            notes.append(
                f"the tables are of version {version}, so the chains of runs were not checked; "
                f"every other command upgrades them to version {HEAD}"
            )
    finally:
        engine.dispose()
    shown = str(shown_location(url))
    return StoreCheck(store=shown, runs=runs, problems=tuple(problems), notes=tuple(notes))


def _check_tables(engine: Engine) -> tuple[int, list[str]]:
    """The version of the tables, or 0 if it is not known, and what is damaged."""
    version, problems = 0, list[str]()
    try:
        with reading(engine) as connection:
            if has_tables(connection):
                problems += damages(connection)
                version = table_version(connection)
    except StoreError as error:
        if not problems and error.message != DAMAGED.message:
            raise
        problems = problems or [error.message]
    return version, problems


def _check_runs(engine: Engine) -> tuple[int, list[str], list[str]]:
    problems: list[str] = []
    notes: list[str] = []
    reader = Reader(engine)
    try:
        runs = reader.runs()
    except (StoreError, SQLAlchemyError, ValueError, TypeError) as error:
        return 0, [f"the runs cannot be read ({_first_line(error)})"], []
    for run in runs:
        try:
            changed, unknown = changes(reader, run, reader.chain(run))
        except (StoreError, SQLAlchemyError, ValueError, TypeError) as error:
            changed, unknown = [f"run {run.id} cannot be read ({_first_line(error)})"], []
        problems += changed
        notes += unknown
    return len(runs), problems, notes


def back_up(location: str, target: Path) -> int:
    """Copy a SQLite store into a new file, as it is at one moment, and check the copy. Returns its size in
    bytes. Drivers wait while the store is copied.

    Raises StoreError, and leaves no file, if the target exists or if the copy is not sound.
    """
    url = parse_location(location)
    if url.get_backend_name() != "sqlite":
        raise StoreError(
            "only a SQLite store is copied by this command",
            at=shown_location(url),
            hint="use pg_dump for a PostgreSQL database",
        )
    if os.path.lexists(target):
        raise _refused(target, "this file exists, and nothing is overwritten", "choose another name")
    engine = make_engine(url, read_only=True)
    try:
        with _new_file(target) as partial:
            with reading(engine) as connection:
                if not has_tables(connection):
                    raise StoreError("there is nothing in this store", at=shown_location(url))
                source = connection.connection.driver_connection
                assert isinstance(source, sqlite3.Connection)
                _copy(source, partial, target)
            _check_copy(partial, target)
            return partial.stat().st_size
    finally:
        engine.dispose()


@contextlib.contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """A file beside the target, which becomes the target in the end, or disappears if there is an error. What
    a killed process has left is replaced.
    """
    partial = target.with_name(f".{target.name}.harness-backup")
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise _refused(target, f"cannot write in its folder ({error.strerror})", "choose another") from error
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _refused(target, "another process makes this copy", "wait until it ends") from None
        try:
            os.truncate(descriptor, 0)
            yield partial
            os.fsync(descriptor)
            _give_name(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _give_name(partial: Path, target: Path) -> None:
    """As a second name, because a link never replaces a file."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise _refused(target, "another process has made this file", "choose another name") from None
    except OSError:  # this file system has no links
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy(source: sqlite3.Connection, partial: Path, target: Path) -> None:
    """Copy all pages. The transaction in which the source is read keeps it as it is."""
    copy = sqlite3.connect(partial, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous=OFF")  # the file is written to the disk in the end
        copy.execute("PRAGMA journal_mode=OFF")
        source.backup(copy, pages=_PAGES_AT_ONCE, progress=lambda *_: None)
    except sqlite3.Error as error:
        raise _refused(target, f"the copy cannot be made ({error})", "no file was written") from error
    finally:
        copy.close()


def _check_copy(partial: Path, target: Path) -> None:
    engine = make_engine(parse_location(partial), read_only=True)
    try:
        with reading(engine) as connection:
            problems = damages(connection)
    finally:
        engine.dispose()
    if problems:
        raise _refused(
            target,
            f"the copy would be damaged as the store is ({problems[0]})",
            "`harness store check` shows more",
        )


def compact(location: str) -> tuple[int, int]:
    """Write a SQLite store anew, without free pages. Returns its size in bytes before and after.

    Raises StoreError, and changes nothing, if a driver works on a run or if there is not enough room: this
    needs twice the size of the store.
    """
    url = parse_location(location)
    if url.get_backend_name() != "sqlite":
        raise StoreError(
            "only a SQLite store is compacted by this command",
            at=shown_location(url),
            hint="PostgreSQL does it by itself, or use VACUUM FULL",
        )
    path = Path(str(url.database))
    with open_store(location) as store:
        before = path.stat().st_size
        store.compact()
    return before, path.stat().st_size


def _refused(target: Path, message: str, hint: str) -> StoreError:
    return StoreError(message, at=Location(str(target)), hint=hint)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]

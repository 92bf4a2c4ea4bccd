"""From a path or URL to an engine whose transactions do what they say, with errors for people.

SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode (fixed in 3.51.3, and in 3.50.7 and 3.44.6 of the
older lines): WAL is used on fixed versions only, a rollback journal elsewhere, `synchronous=FULL` in both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError

from harness.errors import Location, StoreError, did_you_mean

BUSY_SECONDS = 30.0
CONNECT_SECONDS = 10
_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}

# What the databases say, what it means, and what to do. The first match counts; lower case.
_MEANINGS = (
    ("file is not a database", "not a SQLite database", "name another file with --store"),
    ("malformed", "the database is damaged", "restore it from a copy, or name another file with --store"),
    (
        "database is locked",
        f"another program kept the database locked for {BUSY_SECONDS:.0f} seconds",
        "close what is writing to it and try again",
    ),
    (
        "readonly database",
        "the database cannot be written",
        "check the permissions of the file and its folder",
    ),
    (
        "unable to open database file",
        "the database cannot be opened",
        "check that the folder exists and that both can be written",
    ),
    ("disk is full", "the disk is full; nothing of this step was recorded", "make room and run again"),
    (
        "disk i/o error",
        "the disk could not be read or written; nothing of this step was recorded",
        "check its free space and its health",
    ),
    ("permission denied", "the database user may not do this", "grant it the right, or name another user"),
)


def parse_location(location: str | Path) -> URL:
    """A URL with the driver filled in. Anything without `://` is the path of a SQLite file.

    Raises StoreError for a URL that cannot be read, another kind of database, a directory, or a database in
    memory.
    """
    if isinstance(location, Path) or "://" not in location:
        return _sqlite_url(Path(location))
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):
        raise StoreError(
            "the store's URL cannot be read", hint="it looks like postgresql://user@host/database"
        ) from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        kinds = ("sqlite", "postgresql")
        raise StoreError(f"{url.drivername!r} is no kind of store", hint=did_you_mean(url.drivername, kinds))
    if driver.startswith("sqlite"):
        if url.database in (None, "", ":memory:"):
            raise StoreError(
                "a database in memory would keep nothing", hint="name a file: sqlite:///results/harness.db"
            )
        if url.query:
            raise StoreError(
                "a SQLite store takes no options in its URL", at=place(url), hint="leave out what follows '?'"
            )
        return _sqlite_url(Path(str(url.database)))
    return url.set(drivername=driver)


def _sqlite_url(path: Path) -> URL:
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise StoreError(
            f"the path cannot be reached ({error.strerror})",
            at=Location(str(path)),
            hint="name another file with --store",
        ) from error
    if is_folder:
        raise StoreError(
            "a directory, not a database", at=Location(str(path)), hint=f"did you mean {path / 'harness.db'}?"
        )
    return URL.create("sqlite+pysqlite", database=str(path.absolute()))


def place(url: URL) -> Location:
    """Where a store is, for messages: the file, or the URL without its password."""
    return Location(str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string())


def make_engine(url: URL) -> Engine:
    """An engine for one of the two databases; nothing is opened or written yet, but the folder is made."""
    if url.get_backend_name() == "sqlite":
        try:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"its folder cannot be made ({error.strerror})",
                at=place(url),
                hint="name another file with --store",
            ) from error
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        # Positional parameters, as SQLite has them, so that bulk inserts take the same rows in both.
        return create_engine(url, paramstyle="format", connect_args={"connect_timeout": CONNECT_SECONDS})
    except ModuleNotFoundError as error:
        raise StoreError(
            "PostgreSQL needs psycopg", at=place(url), hint="pip install 'transformer-harness[postgres]'"
        ) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database, with errors as StoreError."""
    with translated(engine.url), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is wholly kept, or leaves no trace when anything is raised within.

    On SQLite it takes the write lock at once: one that began by reading would fail without waiting when it
    comes to write beside another writer.
    """
    with translated(engine.url), engine.connect() as connection:
        connection = connection.execution_options(harness_writes=True)
        with connection.begin():
            yield connection


def use_safest_journal(engine: Engine) -> None:
    """WAL where this SQLite is sound in it, so that readers never wait; else a rollback journal."""
    if engine.dialect.name != "sqlite":
        return
    wanted = "wal" if wal_is_sound(sqlite3.sqlite_version_info) else "delete"
    with translated(engine.url), engine.connect() as connection:
        raw = connection.connection.cursor()
        try:
            if raw.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
                raw.execute(f"PRAGMA journal_mode={wanted}")
        except sqlite3.OperationalError as error:
            # Readers of a rollback journal do no harm: the switch to WAL can wait until nobody has it open.
            if wanted == "delete":
                raise DBAPIError.instance("PRAGMA journal_mode", None, error, sqlite3.Error) from error
        finally:
            raw.close()


def wal_is_sound(version: tuple[int, ...]) -> bool:
    """Whether this SQLite has the fix of the corruption in WAL mode."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not at sqlite3's discretion
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("harness_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turns what a database says about itself into a StoreError; what it says about our SQL stays as it is."""
    try:
        yield
    except (IntegrityError, DataError):
        raise  # a fault of the harness, not of the place
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        for needle, message, hint in _MEANINGS:
            if needle in said.lower():
                raise StoreError(message, at=place(url), hint=hint) from error
        if isinstance(error, ProgrammingError):
            raise
        raise StoreError(f"the database refused: {said}", at=place(url)) from error

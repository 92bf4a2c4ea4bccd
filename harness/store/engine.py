"""Database engines: from a path or URL to an engine with real transactions and readable errors.

SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode. Versions 3.51.3, 3.50.7 and 3.44.6 have a fix. WAL
is used on fixed versions only, and never on the file system of a network, where it is not allowed. Elsewhere
there is a rollback journal. In both cases a commit waits until all of it is on the disk (`synchronous=EXTRA`,
which is `FULL` and also covers the removal of the journal from its folder).
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError

from harness.errors import Location, StoreError, did_you_mean
from harness.paths import expanded, is_read_only
from harness.store.failures import BUSY_SECONDS, DAMAGED_LOG, READ_ONLY_DISK, DatabaseError, Meaning, meaning
from harness.store.file_system import FileSystem, file_system
from harness.store.write_ahead_log import lost_transactions
from harness.store.written import count_transaction

_PATIENCE_OF_TCP = {
    "connect_timeout": 10,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 60_000,  # milliseconds
}
"""After two minutes, a server that has disappeared from the network counts as lost."""

_PATIENCE_OF_SERVER = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
}

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


_PATH = re.compile(r"[~.]*/(?!/)")
"""The beginning of what can only be a path: `/`, `./`, `../`, `~/`."""

_MISTYPED = re.compile(
    r"(?:sqlite|postgres(?:ql)?)(?:\+\w*)?(?::|//)|[a-z][a-z0-9+.-]*:/|(?:.*/)?[^/]*:[^/]*@|.*\bpassword\s*=",
    re.IGNORECASE | re.DOTALL,
)
"""The beginning of what was meant to be a URL, or the parameters of a connection: `postgres:/…`,
`postgresql//…`, `user:password@…`, `host=… password=…`.
"""

_EXAMPLE = "a URL looks like postgresql://user@host/database"


def parse_location(location: str | Path) -> URL:
    """The location as a URL with its driver. A text without `://` is the path of a SQLite file.

    Raises StoreError if the URL is malformed or names a directory, a database in memory, or a database that
    is neither SQLite nor PostgreSQL. A path that looks like a mistyped URL is refused as well, because it may
    contain a password, which would become the name of a folder.
    """
    if isinstance(location, Path) or "://" not in location:
        if _MISTYPED.match(str(location)) and not _PATH.match(str(location)):
            raise StoreError(
                "the store looks like a URL, but it is malformed",
                hint=f"{_EXAMPLE}; if it is a file of this name, give its full path",
            )
        return _sqlite_url(expanded(location))
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):
        raise StoreError("the URL of the store is malformed", hint=_EXAMPLE) from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        kinds = ("sqlite", "postgresql")
        raise StoreError(
            f"a store cannot be a database of the kind {url.drivername!r}",
            hint=did_you_mean(url.drivername, kinds),
        )
    if driver.startswith("sqlite"):
        if url.database in (None, "", ":memory:"):
            raise StoreError(
                "a database in memory would lose all results", hint="use a file: sqlite:///results/harness.db"
            )
        if url.query:
            raise StoreError(
                "the URL of a SQLite store must not have options",
                at=shown_location(url),
                hint="remove the '?' and everything after it",
            )
        return _sqlite_url(expanded(str(url.database)))
    return url.set(drivername=driver)


def _sqlite_url(path: Path) -> URL:
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise StoreError(
            f"cannot access the path ({error.strerror})",
            at=Location(str(path)),
            hint="choose another file with --store",
        ) from error
    if is_folder:
        raise StoreError(
            "this is a directory, not a database",
            at=Location(str(path)),
            hint=f"did you mean {path / 'harness.db'}?",
        )
    return URL.create("sqlite+pysqlite", database=str(path.absolute()))


def shown_location(url: URL) -> Location:
    """The location of a store for messages: the file, or the URL without its password."""
    return Location(str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string())


def make_engine(url: URL, *, read_only: bool = False) -> Engine:
    """An engine for SQLite or PostgreSQL. Nothing is opened or written yet, but the folder is created.

    Raises StoreError if the folder cannot be created or the driver of PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, read_only=read_only)
    waiting = {name: value for name, value in _PATIENCE_OF_TCP.items() if name not in url.query}
    try:
        # With positional parameters, as in SQLite, bulk inserts take the same rows in both databases. A
        # connection that broke while it was not used is replaced (`pool_pre_ping`). Behind a pooler, the next
        # transaction may have another connection, which knows no prepared statement.
        connecting = {**waiting, "prepare_threshold": None}
        engine = create_engine(url, paramstyle="format", connect_args=connecting, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise StoreError(
            "a PostgreSQL store needs the package psycopg",
            at=shown_location(url),
            hint="pip install 'transformer-harness[postgres]'",
        ) from error
    event.listen(engine, "connect", _configure_postgresql)
    return engine


def _sqlite_engine(url: URL, *, read_only: bool) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create its folder ({error.strerror})",
            at=shown_location(url),
            hint="choose another file with --store",
        ) from error
    opened = False

    def connect() -> sqlite3.Connection:
        """A file that has disappeared is not made again: its results are somewhere else."""
        nonlocal opened
        if not opened and lost_transactions(path):
            raise database_error(url, DAMAGED_LOG)
        location = f"file:{quote(os.fsencode(path))}?mode={'rw' if opened or read_only else 'rwc'}"
        # The pool hands a connection to one thread at a time.
        connection = sqlite3.connect(location, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
        opened = True
        return connection

    engine = create_engine(url, creator=connect)
    event.listen(engine, "connect", _configure_sqlite)
    if read_only:
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database. Raises StoreError if the database fails."""
    with translated(engine.url), engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # by default, every query there sees a newer state
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is recorded completely, or not at all if an error is raised inside it. If the
    connection breaks while it is being recorded, nobody knows which of the two.

    On SQLite it takes the write lock at once. A transaction that begins with reading would otherwise fail,
    without waiting, when it writes at the same time as another writer.
    """
    with translated(engine.url), engine.connect() as connection:
        connection = connection.execution_options(harness_writes=True)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                _make_durable(connection)
            yield connection
            if engine.dialect.name == "postgresql":
                count_transaction()  # if the connection breaks now, only the server knows
        if engine.dialect.name != "postgresql":
            count_transaction()


def use_safest_journal(engine: Engine) -> None:
    """Use WAL, with which readers never wait, if this SQLite and this file system are safe with it, or else a
    rollback journal.
    """
    if engine.dialect.name != "sqlite":
        return
    wanted = "wal" if uses_wal(file_system(Path(str(engine.url.database)))) else "delete"
    if _outside_transaction(engine, "PRAGMA journal_mode") == wanted:
        return
    try:
        _outside_transaction(engine, f"PRAGMA journal_mode={wanted}")
    except DatabaseError:
        # A rollback journal is safe with readers, so the switch to WAL can wait until they are gone.
        if wanted == "delete":
            raise


def vacuum(engine: Engine) -> None:
    """Write a SQLite database anew, without free pages. If that fails, it stays as it was."""
    _outside_transaction(engine, "VACUUM")


def _outside_transaction(engine: Engine, statement: str) -> Any:
    """The first value that a statement of SQLite returns."""
    with translated(engine.url), engine.connect() as connection:
        raw = connection.connection.cursor()
        try:
            row = raw.execute(statement).fetchone()
        except sqlite3.Error as error:
            raise DBAPIError.instance(statement, None, error, sqlite3.Error) from error
        finally:
            raw.close()
    return row[0] if row else None


def uses_wal(system: FileSystem) -> bool:
    """Whether a store on this file system has a write-ahead log, and no rollback journal."""
    return system.is_local and wal_is_sound(sqlite3.sqlite_version_info)


def wal_is_sound(version: tuple[int, ...]) -> bool:
    """Whether this SQLite has the fix of the corruption in WAL mode."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # _begin_sqlite begins transactions, not the module sqlite3
    for pragma in ("foreign_keys=ON", "synchronous=EXTRA", "cell_size_check=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("harness_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _configure_postgresql(connection: Any, _record: object) -> None:
    """The server notices within two minutes that this process is gone."""
    for setting, value in _PATIENCE_OF_SERVER.items():
        connection.execute(f"SELECT set_config('{setting}', '{value}', false)")
    connection.commit()


def _make_durable(connection: Connection) -> None:
    """The server acknowledges nothing of this transaction that a crash could lose. Behind a pooler, a setting
    of the connection would not do.
    """
    current = text("SELECT current_setting('synchronous_commit')")
    if connection.execute(current).scalar_one() == "off":
        connection.execute(text("SELECT set_config('synchronous_commit', 'on', true)"))


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Raises StoreError if the database reports an error, except for errors in the SQL of the harness."""
    try:
        yield
    except (IntegrityError, DataError):
        raise  # a fault of the harness, not of the database
    except DBAPIError as error:
        known = meaning(error)
        if known is None:
            raise
        raise database_error(url, known) from error


def database_error(url: URL, known: Meaning) -> DatabaseError:
    """The error to raise if something is wrong with the database."""
    is_file = url.get_backend_name() == "sqlite"
    if is_file and known.trouble == "disk" and is_read_only(Path(str(url.database)).parent):
        known = READ_ONLY_DISK
    made = DatabaseError(known.message, at=shown_location(url), hint=known.hint)
    made.trouble = known.trouble
    return made

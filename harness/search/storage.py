"""Optuna's tables: a file of their own beside a SQLite store, or a schema of their own in a PostgreSQL store.
`optuna-dashboard` can read them while the search runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError

from harness.errors import StoreError
from harness.store.engine import make_engine, parse_location, shown_location, translated
from harness.store.failures import BUSY_SECONDS

FILE, SCHEMA = "optuna.db", "optuna"


def storage_url(location: str) -> URL:
    """Where Optuna's tables are, given the location of the store.

    Raises StoreError if the location is wrong.
    """
    url = parse_location(location)
    if url.get_backend_name() == "sqlite":
        return url.set(database=str(Path(str(url.database)).with_name(FILE)))
    return url.update_query_dict({"options": f"-csearch_path={SCHEMA}"})


@contextmanager
def opened_storage(location: str) -> Iterator[RDBStorage]:
    """Optuna's storage beside the store at this location. It is made if it does not exist.

    Raises StoreError if it cannot be used, for example because a newer version of Optuna made it.
    """
    url = storage_url(location)
    engine = make_engine(parse_location(location))
    if url.get_backend_name() == "postgresql":
        with translated(engine.url), engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    engine.dispose()
    waiting = {"timeout": BUSY_SECONDS} if url.get_backend_name() == "sqlite" else {}
    at = shown_location(url)
    try:
        storage = RDBStorage(
            url.render_as_string(hide_password=False), engine_kwargs={"connect_args": waiting}
        )
    except RuntimeError as error:
        raise StoreError(
            f"another version of Optuna made the tables of the search ({error})",
            at=at,
            hint="install that version, or move the file away; the points are in the store of the harness",
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        raise StoreError(f"Optuna cannot use its tables: {_first_line(error)}", at=at) from None
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _first_line(error: Exception) -> str:
    return str(error.__cause__ or error).splitlines()[0]

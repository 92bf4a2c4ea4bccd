"""Upgrades a database to the tables of this version, or refuses a database of another program.

Alembic takes longer to import than most queries take, so it is imported only if there is something to do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from harness.errors import StoreError
from harness.store.engine import reading, shown_location, writing
from harness.store.integrity import refuse_damaged
from harness.store.tables import VERSION_TABLE
from harness.store.turns import take_turns

HEAD = 10  # the newest migration; a revision is a whole number, written with four digits


def migrate(engine: Engine) -> None:
    """Create the tables in an empty database, or upgrade an older one.

    Raises StoreError if the database is damaged, or belongs to a newer version of the harness or to another
    program. Nothing is written then.
    """
    with reading(engine) as connection:
        if has_tables(connection):
            refuse_damaged(connection)
            if table_version(connection) == HEAD:
                return
    with writing(engine) as connection:
        take_turns(connection)
        # Another process may have upgraded it meanwhile.
        if not has_tables(connection) or table_version(connection) != HEAD:
            _upgrade(connection)


def has_tables(connection: Connection) -> bool:
    """False for an empty database. Raises StoreError if its tables are those of another program."""
    tables = inspect(connection).get_table_names()
    if tables and VERSION_TABLE not in tables:
        raise StoreError(
            f"this database belongs to another program (it has a table {min(tables)!r})",
            at=shown_location(connection.engine.url),
            hint="choose another store with --store",
        )
    return bool(tables)


def table_version(connection: Connection) -> int:
    """The version of the tables. Raises StoreError if it is newer than this version of the harness."""
    where = shown_location(connection.engine.url)
    versions = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()
    if len(versions) != 1 or not str(versions[0]).isdecimal():
        raise StoreError("cannot read the version of its tables", at=where, hint="restore it from a copy")
    version = int(versions[0])
    if version > HEAD:
        raise StoreError(
            f"a newer version of the harness wrote this database (version {version} of the tables; "
            f"this version reads up to {HEAD})",
            at=where,
            hint="upgrade transformer-harness, or choose another store with --store",
        )
    return version


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    folder = Path(__file__).parent / "migrations"
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, f"{HEAD:04}")

"""Brings a database to the schema of this version, or says why it is not ours to touch.

Alembic, which takes longer to import than most queries take, is loaded only when there is something to do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from harness.errors import StoreError
from harness.store.engine import place, reading, writing
from harness.store.tables import VERSION_TABLE

HEAD = 4  # the newest migration; revisions are whole numbers, written with four digits


def migrate(engine: Engine) -> None:
    """Creates the tables in an empty database, upgrades an older one, leaves a current one alone.

    Raises StoreError, and writes nothing, for a database of a newer harness or of another program.
    """
    with reading(engine) as connection:
        if _version(connection) == HEAD:
            return
    with writing(engine) as connection:
        take_turns(connection)
        if _version(connection) != HEAD:  # another process may have done it meanwhile
            _upgrade(connection)


def take_turns(connection: Connection) -> None:
    """Lets one transaction at a time past this point; on SQLite a writing transaction is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('transformer-harness'))"))


def _version(connection: Connection) -> int:
    """0 for an empty database."""
    where = place(connection.engine.url)
    tables = inspect(connection).get_table_names()
    if not tables:
        return 0
    if VERSION_TABLE not in tables:
        raise StoreError(
            f"a database of another program (it has a table {min(tables)!r}, and none of the harness's)",
            at=where,
            hint="name another store with --store",
        )
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()
    if len(found) != 1 or not found[0].isdecimal():
        raise StoreError("the version of its tables cannot be read", at=where, hint="restore it from a copy")
    version = int(found[0])
    if version > HEAD:
        raise StoreError(
            f"written by a newer harness (tables of version {version}, this one knows up to {HEAD})",
            at=where,
            hint="upgrade transformer-harness, or name another store with --store",
        )
    return version


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    folder = Path(__file__).parent / "migrations"
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, f"{HEAD:04}")

"""A copy of a whole store in another database: from a SQLite file to a PostgreSQL server, or back."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, Integer, Table, func, insert, select, text

from harness.errors import StoreError
from harness.store.engine import make_engine, parse_location, reading, shown_location, writing
from harness.store.maintenance import StoreCheck, check_store
from harness.store.migrate import HEAD, has_tables, migrate, table_version
from harness.store.pieces import WIDE_AT_ONCE
from harness.store.tables import metadata


def transfer(source: str, target: str) -> StoreCheck:
    """Copy all rows, as they are at one moment, into a store that has none. Returns the check of the new
    store. A driver may work on the source meanwhile.

    Raises StoreError, and writes no row, if the source has no tables of this version, if the target has rows,
    or if both are the same database; and after the copy, if the new store is not sound.
    """
    here, there = parse_location(source), parse_location(target)
    if here == there:
        raise StoreError("a store cannot be copied into itself", at=shown_location(there))
    origin = make_engine(here, read_only=True)
    try:
        with reading(origin) as connection:
            _check_source(connection, origin)
            engine = make_engine(there)
            try:
                migrate(engine)
                with writing(engine) as copy:
                    _check_empty(copy, engine)
                    for table in metadata.sorted_tables:
                        _copy_table(table, connection, copy)
            finally:
                engine.dispose()
    finally:
        origin.dispose()
    check = check_store(target)
    if check.problems:
        raise StoreError(
            f"the copy is not sound ({check.problems[0]})",
            at=shown_location(there),
            hint="check the source with `harness store check`, and do not use the copy",
        )
    return check


def _check_source(connection: Connection, engine: Engine) -> None:
    if not has_tables(connection):
        raise StoreError("there is nothing in this store", at=shown_location(engine.url))
    if (version := table_version(connection)) != HEAD:
        raise StoreError(
            f"the tables are of version {version}, and only version {HEAD} can be copied",
            at=shown_location(engine.url),
            hint="any other command upgrades the store, for example `harness list`",
        )


def _check_empty(connection: Connection, engine: Engine) -> None:
    for table in metadata.sorted_tables:
        if connection.execute(select(func.count()).select_from(table)).scalar():
            raise StoreError(
                "this store is not empty, and nothing is overwritten",
                at=shown_location(engine.url),
                hint="choose a database that is new",
            )


def _copy_table(table: Table, source: Connection, target: Connection) -> None:
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=WIDE_AT_ONCE)
    for part in source.execute(query).mappings().partitions():
        target.execute(insert(table), [dict(row) for row in part])
    number = table.autoincrement_column
    if number is not None and isinstance(number.type, Integer) and target.dialect.name == "postgresql":
        _continue_after_the_largest(table, number.name, target)


def _continue_after_the_largest(table: Table, column: str, connection: Connection) -> None:
    """PostgreSQL counts apart from the rows, and rows that bring their numbers do not move its counter."""
    largest = connection.execute(select(func.max(table.c[column]))).scalar()
    sequence = connection.execute(
        text("SELECT pg_get_serial_sequence(:name, :column)"), {"name": table.name, "column": column}
    ).scalar()
    if largest is not None and sequence is not None:
        connection.execute(
            text("SELECT setval(:sequence, :largest)"), {"sequence": sequence, "largest": largest}
        )

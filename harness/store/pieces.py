"""Reads rows that may be very many in pieces, as the driver of the database gives them.

Samples are far more than other rows. The driver of the database is three times as fast as SQLAlchemy, and
gives NULL for NaN on SQLite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Column, Connection, Select, Table, func, select, tuple_

from harness.store.tables import samples

Row = TypeVar("Row")

AT_ONCE = 20_000
"""The largest number of rows that are in memory together."""

WIDE_AT_ONCE = 5_000
"""The same for telemetry, which has many columns."""

ATTEMPTS_AT_ONCE = 500
"""The largest number of attempts that one query asks for."""


class SampleCount(NamedTuple):
    """How many samples of a metric an attempt has."""

    attempt_id: int
    metric: str
    samples: int


def driver_rows(connection: Connection, query: Select[Any]) -> Sequence[Any]:
    """All rows of a query without conversions of their types."""
    compiled = query.compile(connection, compile_kwargs={"render_postcompile": True})
    names: Sequence[str] = compiled.positiontup or ()
    values = tuple(compiled.params[name] for name in names)
    return connection.exec_driver_sql(str(compiled), values).cursor.fetchall()


def pages(
    fetch: Callable[[Select[Any]], Sequence[Any]], query: Select[Any], *order: Column[Any]
) -> Iterator[Sequence[Any]]:
    """The rows of a query in the order of these columns, in pages of at most `AT_ONCE` rows. They are the
    first columns of the query, and no two rows are equal in all of them.
    """
    types = [column.type for column in order]
    page = query.order_by(*order).limit(AT_ONCE)
    rows = fetch(page)
    while rows:
        yield rows
        if len(rows) < AT_ONCE:
            return
        last = tuple_(*rows[-1][: len(order)], types=types)
        rows = fetch(page.where(tuple_(*order) > last))


def in_parts(rows: Iterable[Row], most: int) -> Iterator[list[Row]]:
    """The rows in lists of at most `most`, so that they are never all in memory."""
    left = iter(rows)
    while part := list(islice(left, most)):
        yield part


def groups(sizes: Mapping[int, int], most: int) -> Iterator[list[int]]:
    """Attempts in their order, in groups that together have at most `most` rows. An attempt that has more
    rows is a group of its own. `sizes` says how many rows each attempt has.
    """
    group, total = list[int](), 0
    for attempt_id in sorted(sizes):
        if group and (total + sizes[attempt_id] > most or len(group) == ATTEMPTS_AT_ONCE):
            yield group
            group, total = [], 0
        group.append(attempt_id)
        total += sizes[attempt_id]
    if group:
        yield group


def row_counts(connection: Connection, table: Table, attempt_ids: Sequence[int]) -> dict[int, int]:
    """Attempt → the number of its rows in a table with measurements, for those of these that have any."""
    query = select(table.c.attempt_id, func.count()).where(table.c.attempt_id.in_(attempt_ids))
    return dict(driver_rows(connection, query.group_by(table.c.attempt_id)))


def sample_counts(connection: Connection, attempt_ids: Sequence[int]) -> list[SampleCount]:
    """The number of samples of every metric of these attempts, at most `ATTEMPTS_AT_ONCE`, by attempt."""
    by = samples.c.attempt_id, samples.c.metric
    query = select(*by, func.count()).where(samples.c.attempt_id.in_(attempt_ids)).group_by(*by).order_by(*by)
    return [SampleCount._make(row) for row in driver_rows(connection, query)]

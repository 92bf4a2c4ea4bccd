"""What an attempt recorded, as one short digest per part, so that a later change in the database is noticed.

The digests are always made from what the database returns, also when an attempt ends. So they are the same
whenever they are made again, whichever types the database uses inside.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Text, func, select, type_coerce

from harness.store.tables import attempt_sentences, attempts, checks, samples, sentences, telemetry, trials
from harness.store.types import Json

PartDigests = dict[str, str]
"""The digest of each part that is not empty. The parts are `trial`, `record` (the row of the attempt),
`samples`, `checks`, `sentences` and `telemetry`."""

_ROWS_AT_ONCE = 20_000


def recorded_content(connection: Connection, chosen: Select[tuple[int]]) -> dict[int, PartDigests]:
    """The content of each attempt whose id is in `chosen`."""
    contents: dict[int, PartDigests] = defaultdict(dict)
    for name, digests in (
        ("trial", _rows(connection, _trials(chosen), _names(trials.columns, ("id", "run_id")))),
        ("record", _rows(connection, _attempts(chosen), _names(attempts.columns, ("id", "trial_id")))),
        ("samples", _samples(connection, chosen)),
        ("checks", _rows(connection, *_measured(checks.columns, chosen))),
        ("sentences", _sentences(connection, chosen)),
        ("telemetry", _rows(connection, *_measured(telemetry.columns, chosen))),
    ):
        for attempt_id, digest in digests:
            contents[attempt_id][name] = digest
    return dict(contents)


def _trials(chosen: Select[tuple[int]]) -> Select[Any]:
    query = select(attempts.c.id, *_plain(trials.columns, ("id", "run_id")))
    return query.join(trials, trials.c.id == attempts.c.trial_id).where(attempts.c.id.in_(chosen))


def _attempts(chosen: Select[tuple[int]]) -> Select[Any]:
    """The rows of the attempts as they were when they ended: without the state that superseded them."""
    ended_as = func.coalesce(attempts.c.superseded_state, attempts.c.state)
    columns = [
        ended_as if column.key == "state" else column
        for column in _plain(attempts.columns, ("id", "trial_id", "superseded_state"))
    ]
    return select(attempts.c.id, *columns).where(attempts.c.id.in_(chosen))


def _measured(
    columns: Iterable[Column[Any]], chosen: Select[tuple[int]]
) -> tuple[Select[Any], tuple[str, ...]]:
    """A query for the rows of a table with measurements, in their order, and the names of its columns."""
    table_columns = list(columns)
    by_name = {column.name: column for column in table_columns}
    query = select(by_name["attempt_id"], *_plain(table_columns, ("id", "attempt_id")))
    query = query.where(by_name["attempt_id"].in_(chosen)).order_by(by_name["attempt_id"], by_name["id"])
    return query, _names(table_columns, ("id", "attempt_id"))


def _plain(columns: Iterable[Column[Any]], without: Sequence[str]) -> list[ColumnElement[Any]]:
    """The columns, with JSON as the text that is stored."""
    return [
        type_coerce(column, Text).label(column.name) if isinstance(column.type, Json) else column
        for column in columns
        if column.name not in without
    ]


def _names(columns: Iterable[Column[Any]], without: Sequence[str]) -> tuple[str, ...]:
    return tuple(column.name for column in columns if column.name not in (*without, "superseded_state"))


def _rows(connection: Connection, query: Select[Any], names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(attempt, digest) of the rows of each attempt. The first column of the query is the attempt."""
    for attempt_id, rows in groupby(_streamed(connection, query), key=itemgetter(0)):
        _, *columns = zip(*rows, strict=True)
        yield attempt_id, _digest(zip(names, columns, strict=True))


def _samples(connection: Connection, chosen: Select[tuple[int]]) -> Iterator[tuple[int, str]]:
    """As `_rows`, whatever the order of texts in the database: metrics are sorted here.

    There are far more samples than other rows. They come from the driver of the database, which is three
    times as fast as SQLAlchemy, with NULL for NaN on SQLite.
    """
    query = select(samples).where(samples.c.attempt_id.in_(chosen)).order_by(*samples.primary_key.columns)
    compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
    cursor = connection.connection.cursor()
    try:
        cursor.execute(str(compiled))
        for attempt_id, rows in groupby(iter(cursor.fetchone, None), key=itemgetter(0)):
            columns: dict[str, tuple[Any, ...]] = {}
            for metric, measured in groupby(rows, key=itemgetter(1)):
                _, _, steps, values = zip(*measured, strict=True)
                columns[f"{metric} steps"] = steps
                columns[f"{metric} values"] = _with_nan(values) if None in values else values
            yield attempt_id, _digest(sorted(columns.items()))
    finally:
        cursor.close()


def _with_nan(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if value is None else value for value in values)


def _sentences(connection: Connection, chosen: Select[tuple[int]]) -> Iterator[tuple[int, str]]:
    linked = attempt_sentences.c.attempt_id.in_(chosen)
    ids = select(attempt_sentences.c.content_id).where(linked)
    bodies = select(sentences.c.content_id, sentences.c.body).where(sentences.c.content_id.in_(ids))
    digests = {
        # in SQLite, somebody may have stored text in a column of bytes
        name: hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest()
        for name, body in _streamed(connection, bodies)
    }
    links = select(attempt_sentences.c.attempt_id, attempt_sentences.c.content_id).where(linked)
    for attempt_id, content_id in _streamed(connection, links):
        texts = (content_id, digests.get(content_id, ""))
        yield attempt_id, _digest([("sentences", texts)])


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    for rows in connection.execute(query).partitions(_ROWS_AT_ONCE):
        yield from rows


def _digest(columns: Iterable[tuple[str, Sequence[Any]]]) -> str:
    """16 hexadecimal digits of the columns. A column without any value does not enter, so a column that a
    later version adds changes no digest.
    """
    made = hashlib.sha256()
    for name, values in columns:
        if any(value is not None for value in values):
            made.update(f"{name} {len(values)}\n".encode())
            made.update(_encoded(values))
    return made.hexdigest()[:16]


def _encoded(values: Sequence[Any]) -> bytes:
    """The values as bytes: equal for equal values, and −0.0 is not 0.0. All NaNs are equal."""
    if set(map(type, values)) == {float}:
        return struct.pack(f"<{len(values)}d", *values)
    return json.dumps(values, separators=(",", ":")).encode()

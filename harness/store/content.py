"""What an attempt recorded, as one short digest per part, so that a later change in the database is noticed.

The digests are always made from what the database returns, also when an attempt ends. So they are the same
whenever they are made again, whichever types the database uses inside. Columns are read in pieces, so memory
does not grow with what an attempt recorded.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter
from types import NoneType
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, Text, func, select, type_coerce

from harness.store.pieces import (
    AT_ONCE,
    ATTEMPTS_AT_ONCE,
    WIDE_AT_ONCE,
    SampleCount,
    driver_rows,
    groups,
    pages,
    row_counts,
    sample_counts,
)
from harness.store.tables import attempt_sentences, attempts, checks, samples, sentences, telemetry, trials
from harness.store.types import Json

PartDigests = dict[str, str]
"""The digest of each part that is not empty. The parts are `trial`, `record` (the row of the attempt),
`samples`, `checks`, `sentences` and `telemetry`."""

Pieces = Callable[[], Iterable[Sequence[Any]]]
"""Reads the values of a column in their order, in pieces. It can be called again."""

Columns = tuple[tuple[str, Pieces], ...]
"""Columns with their names."""

_BODIES_AT_ONCE = 16

_json = json.JSONEncoder(separators=(",", ":")).encode


def recorded_content(connection: Connection, attempt_ids: Sequence[int]) -> dict[int, PartDigests]:
    """The content of these attempts, of which there are at most `ATTEMPTS_AT_ONCE`."""
    assert len(attempt_ids) <= ATTEMPTS_AT_ONCE
    contents: dict[int, PartDigests] = defaultdict(dict)
    for name, digests in (
        ("trial", _rows(connection, _trials(attempt_ids), _names(trials, ("id", "run_id")))),
        ("record", _rows(connection, _attempts(attempt_ids), _names(attempts, ("id", "trial_id")))),
        ("samples", _samples(connection, attempt_ids)),
        ("checks", _measured(connection, checks, attempt_ids)),
        ("sentences", _sentences(connection, attempt_ids)),
        ("telemetry", _measured(connection, telemetry, attempt_ids)),
    ):
        for attempt_id, digest in digests:
            contents[attempt_id][name] = digest
    return dict(contents)


def _trials(attempt_ids: Sequence[int]) -> Select[Any]:
    query = select(attempts.c.id, *_plain(trials, ("id", "run_id")))
    return query.join(trials, trials.c.id == attempts.c.trial_id).where(attempts.c.id.in_(attempt_ids))


def _attempts(attempt_ids: Sequence[int]) -> Select[Any]:
    """The rows of the attempts as they were when they ended: without the state that superseded them."""
    ended_as = func.coalesce(attempts.c.superseded_state, attempts.c.state)
    columns = [
        ended_as if column.key == "state" else column
        for column in _plain(attempts, ("id", "trial_id", "superseded_state"))
    ]
    return select(attempts.c.id, *columns).where(attempts.c.id.in_(attempt_ids))


def _plain(table: Table, without: Sequence[str]) -> list[ColumnElement[Any]]:
    """The columns, with JSON as the text that is stored."""
    return [
        type_coerce(column, Text).label(column.name) if isinstance(column.type, Json) else column
        for column in table.columns
        if column.name not in without
    ]


def _names(table: Table, without: Sequence[str]) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name not in (*without, "superseded_state"))


def _rows(connection: Connection, query: Select[Any], names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(attempt, digest) of the rows of each attempt. The first column of the query is the attempt."""
    for attempt_id, rows in groupby(connection.execute(query), key=itemgetter(0)):
        _, *columns = zip(*rows, strict=True)
        yield attempt_id, _digest_of_held(zip(names, columns, strict=True))


def _measured(connection: Connection, table: Table, attempt_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
    """(attempt, digest) of the rows of each attempt in a table with measurements, in their order."""
    without = ("id", "attempt_id")
    query = select(table.c.attempt_id, *_plain(table, without)).order_by(table.c.attempt_id, table.c.id)
    sizes = row_counts(connection, table, attempt_ids)
    for group in groups(sizes, WIDE_AT_ONCE):
        if sizes[group[0]] > WIDE_AT_ONCE:
            columns = {
                column.name: partial(_column, connection, column, table.c.attempt_id == group[0], table.c.id)
                for column in _plain(table, without)
            }
            yield group[0], _digest(columns.items())
        else:
            yield from _rows(connection, query.where(table.c.attempt_id.in_(group)), _names(table, without))


def _column(
    connection: Connection, column: ColumnElement[Any], chosen: ColumnElement[bool], order: Column[Any]
) -> Iterator[Sequence[Any]]:
    """The values of a column in the rows that are chosen."""

    def fetch(query: Select[Any]) -> Sequence[Any]:
        return connection.execute(query).all()

    for rows in pages(fetch, select(order, column).where(chosen), order):
        yield [value for _, value in rows]


def _samples(connection: Connection, attempt_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
    """As `_measured`, whatever the order of texts in the database: metrics are sorted here."""
    measured: dict[int, list[SampleCount]] = defaultdict(list)
    for count in sample_counts(connection, attempt_ids):
        measured[count.attempt_id].append(count)
    sizes = {attempt_id: sum(count.samples for count in counts) for attempt_id, counts in measured.items()}
    query = select(samples.c.step, samples.c.value).order_by(*samples.primary_key.columns)
    for group in groups(sizes, AT_ONCE):
        if sizes[group[0]] > AT_ONCE:
            columns = (_paged(connection, *count[:2]) for count in measured[group[0]])
            yield group[0], _digest(sorted(chain.from_iterable(columns)))
            continue
        rows = iter(driver_rows(connection, query.where(samples.c.attempt_id.in_(group))))
        for attempt_id in group:
            held: list[tuple[str, Sequence[Any]]] = []
            for _, metric, number in measured[attempt_id]:
                steps, values = zip(*islice(rows, number), strict=True)
                held += zip(_names_of(metric), (steps, _with_nan(values)), strict=True)
            yield attempt_id, _digest_of_held(sorted(held))


def _paged(connection: Connection, attempt_id: int, metric: str) -> Columns:
    """The columns of a metric that are read from the database in pieces, twice."""
    query = select(samples.c.step, samples.c.value)
    query = query.where(samples.c.attempt_id == attempt_id, samples.c.metric == metric)

    def steps() -> Iterator[Sequence[Any]]:
        for rows in pages(partial(driver_rows, connection), query, samples.c.step):
            yield [step for step, _ in rows]

    def values() -> Iterator[Sequence[Any]]:
        for rows in pages(partial(driver_rows, connection), query, samples.c.step):
            yield _with_nan([value for _, value in rows])

    return tuple(zip(_names_of(metric), (steps, values), strict=True))


def _names_of(metric: str) -> tuple[str, str]:
    """The names of the two columns of a metric."""
    return f"{metric} steps", f"{metric} values"


def _with_nan(values: Sequence[float | None]) -> Sequence[float | None]:
    return [math.nan if value is None else value for value in values] if None in values else values


def _sentences(connection: Connection, attempt_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
    linked = attempt_sentences.c.attempt_id.in_(attempt_ids)
    ids = select(attempt_sentences.c.content_id).where(linked)
    bodies = select(sentences.c.content_id, sentences.c.body).where(sentences.c.content_id.in_(ids))
    digests = {
        # in SQLite, somebody may have stored text in a column of bytes
        name: hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest()
        for name, body in connection.execute(bodies, execution_options={"yield_per": _BODIES_AT_ONCE})
    }
    links = select(attempt_sentences.c.attempt_id, attempt_sentences.c.content_id).where(linked)
    for attempt_id, content_id in connection.execute(links):
        texts = (content_id, digests.get(content_id, ""))
        yield attempt_id, _digest_of_held([("sentences", texts)])


def _digest_of_held(columns: Iterable[tuple[str, Sequence[Any]]]) -> str:
    """As `_digest`, for columns that are in memory."""
    made = hashlib.sha256()
    for name, values in columns:
        types = set(map(type, values))
        if types - {NoneType}:
            made.update(f"{name} {len(values)}\n".encode())
            made.update(_packed(values) if types == {float} else _list_text(values, types).encode())
    return made.hexdigest()[:16]


def _digest(columns: Iterable[tuple[str, Pieces]]) -> str:
    """16 hexadecimal digits of the columns. A column without any value does not enter, so a column that a
    later version adds changes no digest.
    """
    made = hashlib.sha256()
    for name, read in columns:
        length, types = 0, set[type]()
        for values in read():
            length += len(values)
            types.update(map(type, values))
        if types - {NoneType}:
            made.update(f"{name} {length}\n".encode())
            for part in map(_packed, read()) if types == {float} else _written(read()):
                made.update(part)
    return made.hexdigest()[:16]


def _packed(values: Sequence[float]) -> bytes:
    """Numbers as bytes: equal for equal numbers, and −0.0 is not 0.0. All NaNs are equal."""
    return struct.pack(f"<{len(values)}d", *values)


def _list_text(values: Sequence[Any], types: set[type]) -> str:
    """The values as a list in JSON. The encoder is slow to start, so it is not used for lists of integers."""
    if types == {str}:
        return f"[{','.join(map(_json, values))}]"
    if types == {int}:
        return f"[{','.join(map(str, values))}]"
    return _json(values)


def _written(pieces: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The values as one list in JSON."""
    before = b"["
    for values in pieces:
        yield before + _json(values).encode()[1:-1]
        before = b","
    yield b"]"

"""Questions in SQL about a store: one statement that reads, over views with documented columns."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, ResourceClosedError

from harness.errors import InputError, StoreError
from harness.store.engine import make_engine, parse_location, reading, shown_location, translated
from harness.store.migrate import HEAD, has_tables, table_version

LONGEST_S, MOST_ROWS = 20.0, 200_000
_STEPS = 10_000
"""Instructions of SQLite between two looks at the clock."""

VIEWS: MappingProxyType[str, str] = MappingProxyType(
    {
        "run_list": """
            SELECT r.id AS run, s.name AS study, r.scale, r.created_at, r.plant, r.draw, r.number,
                   r.code_digest AS code, r.environment_digest AS environment,
                   (SELECT COUNT(*) FROM trials t WHERE t.run_id = r.id) AS trials,
                   (SELECT COUNT(*) FROM attempts a JOIN trials t ON t.id = a.trial_id
                     WHERE t.run_id = r.id AND a.state = 'finished') AS finished
              FROM runs r JOIN studies s ON s.digest = r.study_row""",
        "trial_list": """
            SELECT s.name AS study, r.id AS run, t.spec_id AS trial, t.purpose, t.task, t.arm, t.condition,
                   t.seed, t.round, a.id AS attempt, a.number AS attempt_number, a.position, a.state, a.cause,
                   a.error, a.started_at, a.seconds
              FROM trials t JOIN runs r ON r.id = t.run_id JOIN studies s ON s.digest = r.study_row
              LEFT JOIN attempts a ON a.trial_id = t.id AND a.state <> 'superseded'""",
        "sample_list": """
            SELECT s.name AS study, r.id AS run, t.spec_id AS trial, t.arm, t.condition, t.seed, t.round,
                   x.metric, x.step, x.value
              FROM samples x JOIN attempts a ON a.id = x.attempt_id AND a.state = 'finished'
              JOIN trials t ON t.id = a.trial_id AND t.purpose = 'measure'
              JOIN runs r ON r.id = t.run_id JOIN studies s ON s.digest = r.study_row""",
        "verdict_list": """
            SELECT s.name AS study, r.id AS run, r.scale, r.created_at, v.claim, v.verdict, v.effect, v.low,
                   v.high, v.n, v.claimed, v.reason
              FROM verdicts v JOIN runs r ON r.id = v.run_id JOIN studies s ON s.digest = r.study_row""",
        "check_list": """
            SELECT s.name AS study, r.id AS run, t.task AS invariant, t.arm, c."case", c."precision",
                   c.passed, c.deviation, c.tolerance, c.compared, c.skipped, c.detail
              FROM checks c JOIN attempts a ON a.id = c.attempt_id AND a.state <> 'superseded'
              JOIN trials t ON t.id = a.trial_id
              JOIN runs r ON r.id = t.run_id JOIN studies s ON s.digest = r.study_row""",
    }
)
"""Views for people, which stay as they are when tables change. Attempts that do not count are left out."""

_WITH = re.compile(r"\s*WITH\s+(RECURSIVE\s+)?", re.IGNORECASE)
_ALLOWED = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
    }
)


class Answer(NamedTuple):
    """The names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def ask(location: str, sql: str) -> Answer:
    """The answer of a statement that only reads. It is ended after `LONGEST_S` seconds, because a driver
    waits as long as somebody reads, and it may have at most `MOST_ROWS` rows.

    Nothing is written, to the store or elsewhere. Raises InputError with the message of the database if the
    statement is wrong, and StoreError if the store cannot be read.
    """
    url = parse_location(location)
    engine = make_engine(url, read_only=True)
    try:
        _check_version(engine)
        with translated(url), engine.connect() as connection:
            _only_reading(engine, connection)
            return _answer(connection, sql)
    finally:
        engine.dispose()


def _check_version(engine: Engine) -> None:
    with reading(engine) as connection:
        version = table_version(connection) if has_tables(connection) else 0
    if version != HEAD:
        raise StoreError(
            f"the tables are of version {version}, and questions need version {HEAD}",
            at=shown_location(engine.url),
            hint="`harness list` upgrades them",
        )


def _with_views(sql: str) -> str:
    """The statement with the views before it, as common table expressions: no view is made."""
    views = ", ".join(f"{name} AS ({query})" for name, query in VIEWS.items())
    begun = _WITH.match(sql)
    if begun is None:
        return f"WITH {views} {sql}"
    return f"WITH {begun[1] or ''}{views}, {sql[begun.end() :]}"


def _only_reading(engine: Engine, connection: Connection) -> None:
    """From now on, the connection refuses whatever does not read, and what takes too long."""
    if engine.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text(f"SET LOCAL statement_timeout = {int(LONGEST_S * 1000)}"))
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    end = monotonic() + LONGEST_S

    def is_allowed(action: int, name: str | None, function: str | None, *_: object) -> int:
        loads = action == sqlite3.SQLITE_FUNCTION and (function or name or "").lower() == "load_extension"
        return sqlite3.SQLITE_OK if action in _ALLOWED and not loads else sqlite3.SQLITE_DENY

    driver.set_authorizer(is_allowed)
    driver.set_progress_handler(lambda: monotonic() > end, _STEPS)


def _answer(connection: Connection, sql: str) -> Answer:
    statement = _with_views(sql)
    if connection.dialect.name == "postgresql":
        statement = statement.replace("%", "%%")  # its driver looks for places of parameters
    try:
        result = connection.exec_driver_sql(statement)
        rows = result.fetchmany(MOST_ROWS + 1)
        columns = tuple(result.keys())
    except ResourceClosedError:
        raise InputError("this statement gives no rows", hint="ask with SELECT") from None
    except (DBAPIError, sqlite3.Warning) as error:
        raise _refused(error) from None
    if len(rows) > MOST_ROWS:
        raise InputError(
            f"the answer has more than {MOST_ROWS:,} rows",
            hint="ask for less; `harness export` writes all samples of a run",
        )
    return Answer(columns, rows)


def _refused(error: Exception) -> InputError:
    reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
    if "interrupt" in reason or "statement timeout" in reason:
        return InputError(f"the question takes longer than {LONGEST_S:g} s", hint="ask for less, with WHERE")
    if "not authorized" in reason or "read-only transaction" in reason or "prohibited" in reason:
        return InputError("only statements that read are allowed", hint="ask with SELECT")
    return InputError(f"the database refuses the statement: {reason}", hint=f"views: {', '.join(VIEWS)}")

"""Refuses a pooler that gives every transaction another connection to the PostgreSQL server.

PgBouncer does so in its transaction mode. The lock of a run belongs to a connection, so that it would be lost
without notice.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text

from harness.errors import StoreError
from harness.store.engine import shown_location, translated


def refuse_pooler(engine: Engine) -> None:
    """Raises StoreError if transactions of one connection run in different processes of the server."""
    if engine.dialect.name == "postgresql" and _is_shared(engine):
        raise StoreError(
            "a pooler (such as PgBouncer in transaction mode) gives every transaction another connection, "
            "so a run cannot be locked",
            at=shown_location(engine.url),
            hint="connect to PostgreSQL itself, or use pool_mode=session",
        )


def _is_shared(engine: Engine) -> bool:
    with translated(engine.url), engine.connect() as first:
        process = _process(first)
        # Without a pooler, the server said at the beginning which process this is.
        if first.connection.driver_connection.info.backend_pid == process:  # type: ignore[union-attr]
            return False
        if _process(first) != process:
            return True
        with engine.connect() as second:
            return _process(second) == process


def _process(connection: Connection) -> int:
    """The process of the server that runs a transaction of this connection."""
    with connection.begin():
        process: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return process

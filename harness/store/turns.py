"""Transactions that take turns. In SQLite, a writing transaction is always alone."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select, text

from harness.store.tables import runs


def take_turns(connection: Connection) -> None:
    """Let only one transaction at a time continue."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('transformer-harness'))"))


def take_turns_in(connection: Connection, run_ids: Collection[str]) -> None:
    """Let only one transaction at a time of the drivers of these runs continue. To avoid a deadlock, a
    transaction does this before anything else.
    """
    if run_ids and connection.dialect.name == "postgresql":
        rows = select(runs.c.id).where(runs.c.id.in_(run_ids)).order_by(runs.c.id)
        connection.execute(rows.with_for_update(key_share=True)).all()

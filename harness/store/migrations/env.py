"""Runs the migrations inside the transaction of the connection that it is handed: all of them, or none."""

from __future__ import annotations

from alembic import context

from harness.store.tables import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # both databases have it; Alembic assumes that SQLite has not
)
with context.begin_transaction():
    context.run_migrations()

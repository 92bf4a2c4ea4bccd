"""The chain of each run. The attempts that exist are marked as those of an earlier version, which recorded no
digests.
"""

from __future__ import annotations

import hashlib
import json
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chain",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_chain"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_chain_run_id"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_chain_attempt_id"),
        sa.CheckConstraint("event IN ('earlier', 'ended', 'superseded')", name=op.f("ck_chain_event")),
    )
    _mark_earlier_attempts(op.get_bind())


def _mark_earlier_attempts(connection: sa.Connection) -> None:
    query = "SELECT run_id, attempts.id FROM attempts JOIN trials ON trials.id = trial_id ORDER BY 1, 2"
    existing = connection.execute(sa.text(query)).all()
    for run_id, rows in groupby(existing, key=lambda row: row[0]):
        previous = ""
        for number, (_, attempt_id) in enumerate(rows):
            link = {"run_id": run_id, "number": number, "event": "earlier", "attempt_id": attempt_id}
            previous = _digest({**link, "content": {}, "previous": previous})
            connection.execute(
                sa.text(
                    "INSERT INTO chain (run_id, number, event, attempt_id, content, digest) "
                    "VALUES (:run_id, :number, :event, :attempt_id, '{}', :digest)"
                ),
                {**link, "digest": previous},
            )


def _digest(fields: dict[str, object]) -> str:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

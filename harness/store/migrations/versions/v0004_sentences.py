"""What attempts wrote, sentence by sentence, with the statistics of its scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sentences",
        sa.Column("content_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("content_id", name="pk_sentences"),
    )
    op.create_table(
        "attempt_sentences",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_attempt_sentences_attempt_id"),
        sa.ForeignKeyConstraint(
            ["content_id"], ["sentences.content_id"], name="fk_attempt_sentences_content_id"
        ),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_attempt_sentences"),
    )

"""The process of the driver of each session, and how often it has said that it still works."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    beats = sa.Column("beats", sa.Integer(), server_default=sa.text("0"), nullable=False)
    op.add_column("sessions", beats)
    op.add_column("sessions", sa.Column("process", sa.Text()))

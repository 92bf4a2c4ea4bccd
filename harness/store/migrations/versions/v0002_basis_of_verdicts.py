"""Verdicts keep what they were computed from: the rule, the paired values, the p-values, the versions that
computed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("verdicts", sa.Column("basis", sa.Text()))

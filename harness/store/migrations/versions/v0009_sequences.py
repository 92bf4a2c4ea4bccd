"""After which session a calibration was made, and how often each session has written.

Older calibrations have only their time, which is compared with the times of the sessions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, name in (("sessions", "writes"), ("calibrations", "after_session")):
        op.add_column(table, sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
    calibrations = sa.table("calibrations", *map(sa.column, ("made_at", "after_session")))
    sessions = sa.table("sessions", *map(sa.column, ("id", "started_at")))
    last = sa.select(sa.func.max(sessions.c.id)).where(sessions.c.started_at <= calibrations.c.made_at)
    after = sa.func.coalesce(last.scalar_subquery(), 0)
    op.get_bind().execute(sa.update(calibrations).values(after_session=after))

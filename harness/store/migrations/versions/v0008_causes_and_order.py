"""The order in which runs were created, the cause of an attempt's end, and more telemetry.

Runs of older versions are ordered by their first sessions, which were numbered as they were opened.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TELEMETRY: dict[str, sa.types.TypeEngine[Any]] = {
    "state": sa.Text(),
    "cpu_seconds": sa.Double(),
    "involuntary_switches": sa.BigInteger(),
    "throttled_periods": sa.BigInteger(),
    "throttled_seconds": sa.Double(),
    "suspended_seconds": sa.Double(),
    "clock_jump_seconds": sa.Double(),
    "peak_rss_bytes": sa.BigInteger(),
    "cgroup_peak_bytes": sa.BigInteger(),
    "cpu_energy_j": sa.Double(),
    "gpu_power_w": sa.Double(),
    "gpu_energy_j": sa.Double(),
    "gpu_memory_clock_mhz": sa.Integer(),
    "gpu_other_processes": sa.Integer(),
}


def upgrade() -> None:
    op.add_column("attempts", sa.Column("cause", sa.Text()))
    for name, kind in _TELEMETRY.items():
        op.add_column("telemetry", sa.Column(name, kind))
    op.add_column("runs", sa.Column("number", sa.Integer(), server_default=sa.text("0"), nullable=False))
    _number_runs()
    op.create_index("ix_runs_number", "runs", ["number"])


def _number_runs() -> None:
    runs = sa.table("runs", *map(sa.column, ("id", "number", "created_at")))
    sessions = sa.table("sessions", *map(sa.column, ("id", "run_id")))
    first = sa.select(sa.func.min(sessions.c.id)).where(sessions.c.run_id == runs.c.id).scalar_subquery()
    last = sa.select(sa.func.max(sessions.c.id)).scalar_subquery()
    order = sa.func.coalesce(first, last + 1, 0)  # a run without a session was made after all others
    connection = op.get_bind()
    ids = connection.execute(sa.select(runs.c.id).order_by(order, runs.c.created_at)).scalars().all()
    for number, run_id in enumerate(ids, start=1):
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(number=number))

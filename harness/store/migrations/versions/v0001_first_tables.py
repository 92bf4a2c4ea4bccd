"""The first tables. Written out in full: what it makes must stay the same when `tables.py` moves on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from harness.store.types import Float64

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _runs_and_sessions()
    _trials()
    _what_trials_measured()
    _checkpoints()


def _runs_and_sessions() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("identity_digest", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("study_digest", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.Column("environment_digest", sa.Text(), nullable=False),
        sa.Column("plant", sa.Text()),
        sa.Column("study_json", sa.Text(), nullable=False),
        sa.Column("study_source", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("expected_trials", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("identity_digest", "ordinal", name="uq_runs_identity_digest"),
    )
    op.create_index("ix_runs_study", "runs", ["study"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text()),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_sessions_run_id"),
    )
    op.create_index("ix_sessions_run_id", "sessions", ["run_id"])


def _trials() -> None:
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("spec_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double()),
        sa.Column("spec_json", sa.Text(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("spent", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("traceback", sa.Text()),
        sa.Column("nvml_reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_trials_run_id"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_trials_session_id"),
        sa.CheckConstraint(
            "status IN ('running', 'finished', 'failed', 'superseded')", name=op.f("ck_trials_status")
        ),
    )
    op.create_index("ix_trials_run_id", "trials", ["run_id"])
    counted = sa.text("(CASE WHEN status IN ('running', 'finished') THEN spec_id END)")
    op.create_index("ux_trials_counted_once", "trials", ["run_id", counted], unique=True)


def _what_trials_measured() -> None:
    op.create_table(
        "samples",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("value", Float64()),
        sa.PrimaryKeyConstraint("trial_id", "metric", "step", name="pk_samples"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_samples_trial_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("case", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("deviation", Float64()),
        sa.Column("tolerance", Float64()),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_checks_trial_id"),
    )
    op.create_index("ix_checks_trial_id", "checks", ["trial_id"])
    op.create_table(
        "telemetry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("t_seconds", sa.Double(), nullable=False),
        sa.Column("rss_bytes", sa.BigInteger(), nullable=False),
        sa.Column("cpu_percent", sa.Double()),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("load", sa.Double(), nullable=False),
        sa.Column("swap_in_bytes", sa.BigInteger(), nullable=False),
        sa.Column("swap_out_bytes", sa.BigInteger(), nullable=False),
        sa.Column("cpu_mhz", sa.Double()),
        sa.Column("gpu_memory_bytes", sa.BigInteger()),
        sa.Column("gpu_utilisation", sa.Double()),
        sa.Column("gpu_process_bytes", sa.BigInteger()),
        sa.Column("gpu_temperature_c", sa.Integer()),
        sa.Column("gpu_sm_clock_mhz", sa.Integer()),
        sa.Column("gpu_throttling", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_telemetry"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_telemetry_trial_id"),
    )
    op.create_index("ix_telemetry_trial_id", "telemetry", ["trial_id"])


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("spec_json", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoints"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_checkpoints_trial_id"),
    )

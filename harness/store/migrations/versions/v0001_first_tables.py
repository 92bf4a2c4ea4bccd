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
    _studies_and_environments()
    _runs_and_sessions()
    _trials_and_attempts()
    _what_attempts_measured()
    _artifacts_and_verdicts()


def _studies_and_environments() -> None:
    op.create_table(
        "studies",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("resolved", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_studies"),
    )
    op.create_index("ix_studies_name", "studies", ["name"])
    op.create_table(
        "environments",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_environments"),
    )


def _runs_and_sessions() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("identity_digest", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("study_digest", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.Column("environment_digest", sa.Text(), nullable=False),
        sa.Column("plant", sa.Text()),
        sa.Column("study_row", sa.Text(), nullable=False),
        sa.Column("environment_row", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("identity_digest", "ordinal", name="uq_runs_identity_digest"),
        sa.ForeignKeyConstraint(["study_row"], ["studies.digest"], name="fk_runs_study_row"),
        sa.ForeignKeyConstraint(["environment_row"], ["environments.digest"], name="fk_runs_environment_row"),
    )
    op.create_index("ix_runs_study_row", "runs", ["study_row"])
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


def _trials_and_attempts() -> None:
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("spec_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("spec_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        sa.UniqueConstraint("run_id", "spec_id", name="uq_trials_run_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_trials_run_id"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("superseded_state", sa.Text()),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double()),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("spent", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("traceback", sa.Text()),
        sa.Column("nvml_reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("trial_id", "number", name="uq_attempts_trial_id"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_attempts_trial_id"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_attempts_session_id"),
        sa.CheckConstraint(
            "state IN ('running', 'finished', 'diverged', 'failed', 'lost', 'interrupted', 'superseded')",
            name=op.f("ck_attempts_state"),
        ),
        sa.CheckConstraint(
            "(state = 'superseded') = (superseded_state IS NOT NULL)",
            name=op.f("ck_attempts_superseded_state"),
        ),
    )
    counted = sa.text("(CASE WHEN state IN ('running', 'finished', 'diverged') THEN trial_id END)")
    op.create_index("ux_attempts_counted_once", "attempts", [counted], unique=True)


def _what_attempts_measured() -> None:
    op.create_table(
        "samples",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("value", Float64()),
        sa.PrimaryKeyConstraint("attempt_id", "metric", "step", name="pk_samples"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_samples_attempt_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("case", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("deviation", Float64()),
        sa.Column("tolerance", Float64()),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_checks_attempt_id"),
    )
    op.create_index("ix_checks_attempt_id", "checks", ["attempt_id"])
    op.create_table(
        "telemetry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
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
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_telemetry_attempt_id"),
    )
    op.create_index("ix_telemetry_attempt_id", "telemetry", ["attempt_id"])


def _artifacts_and_verdicts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Integer()),
        sa.Column("run_id", sa.Text()),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "content_id", name="pk_artifacts"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_artifacts_attempt_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_artifacts_run_id"),
        sa.CheckConstraint("kind IN ('checkpoint', 'report')", name=op.f("ck_artifacts_kind")),
        sa.CheckConstraint("(attempt_id IS NULL) <> (run_id IS NULL)", name=op.f("ck_artifacts_maker")),
    )
    op.create_table(
        "verdicts",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("effect", sa.Double()),
        sa.Column("low", sa.Double()),
        sa.Column("high", sa.Double()),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Double()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "claim", name="pk_verdicts"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_verdicts_run_id"),
    )

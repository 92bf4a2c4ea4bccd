"""The tables. A change here needs a migration in `migrations/versions/`; a test compares the two.

    runs ─┬─ sessions ── one a driver invocation
          └─ trials ─┬─ samples · checks · telemetry
                     └─ checkpoints

Times of day are ISO 8601 text in UTC, so that they sort and read the same in every database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from harness.store.types import Float64, Json, Prose

VERSION_TABLE = "harness_alembic_version"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

# One identity may have several runs, told apart by their ordinal: `--fresh` starts another one.
runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("identity_digest", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("study", Text, nullable=False, index=True),
    Column("scale", Text, nullable=False),
    Column("study_digest", Text, nullable=False),
    Column("code_digest", Text, nullable=False),
    Column("environment_digest", Text, nullable=False),
    Column("plant", Text),
    Column("study_json", Text, nullable=False),
    Column("study_source", Text, nullable=False),
    Column("environment", Json, nullable=False),
    Column("expected_trials", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    UniqueConstraint("identity_digest", "ordinal"),
)

# ended_at stays NULL for a driver that died.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False, index=True),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("provenance", Json, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False, index=True),
    Column("session_id", ForeignKey("sessions.id"), nullable=False),
    Column("spec_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("condition", Json, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("seconds", Double),
    Column("spec_json", Text, nullable=False),
    Column("outputs", Json, nullable=False),
    Column("spent", Json, nullable=False),
    Column("notes", Json, nullable=False),
    Column("error", Prose),
    Column("traceback", Prose),
    Column("nvml_reason", Prose),
    CheckConstraint("status IN ('running', 'finished', 'failed', 'superseded')", name="status"),
)

# The database itself holds that no trial of a run counts twice, whatever a driver does: the expression is NULL for
# attempts that do not count, and NULLs never collide. (A partial index would say the same, but naming a dialect's option
# here loads that dialect on every start.)
Index(
    "ux_trials_counted_once",
    trials.c.run_id,
    text("(CASE WHEN status IN ('running', 'finished') THEN spec_id END)"),
    unique=True,
)

# Rows live in the primary key's own tree: no second index to keep, a quarter less to write.
samples = Table(
    "samples",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Float64),
    sqlite_with_rowid=False,
)

checks = Table(
    "checks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trial_id", ForeignKey("trials.id"), nullable=False, index=True),
    Column("case", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("deviation", Float64),
    Column("tolerance", Float64),
    Column("compared", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("detail", Prose, nullable=False),
)

# What was seen from outside the measured process, a column a field of harness.telemetry.host.TelemetrySample; the GPU's
# are NULL where the trial's nvml_reason says why.
telemetry = Table(
    "telemetry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trial_id", ForeignKey("trials.id"), nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("t_seconds", Double, nullable=False),
    Column("rss_bytes", BigInteger, nullable=False),
    Column("cpu_percent", Double),
    Column("threads", Integer, nullable=False),
    Column("load", Double, nullable=False),
    Column("swap_in_bytes", BigInteger, nullable=False),
    Column("swap_out_bytes", BigInteger, nullable=False),
    Column("cpu_mhz", Double),
    Column("gpu_memory_bytes", BigInteger),
    Column("gpu_utilisation", Double),
    Column("gpu_process_bytes", BigInteger),
    Column("gpu_temperature_c", Integer),
    Column("gpu_sm_clock_mhz", Integer),
    Column("gpu_throttling", Json),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("spec_json", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("code_digest", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("trial_id", ForeignKey("trials.id"), nullable=False),
    Column("made_at", Text, nullable=False),
)

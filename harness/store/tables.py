"""The tables. A change here needs a migration in `migrations/versions/`; a test compares the two.

    studies ──────┐
    environments ─┴─ runs ─┬─ sessions ── one a driver invocation
                           ├─ trials ── attempts ─┬─ samples · checks · telemetry
                           │                      ├─ attempt_sentences ── sentences
                           │                      └─ artifacts (checkpoints)
                           ├─ verdicts
                           └─ artifacts (reports)

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
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from harness.store.types import Figure, Float64, Json, Prose

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

# Studies and environments are kept once for all runs that share them, addressed by the content of their row.
studies = Table(
    "studies",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("resolved", Text, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("facts", Json, nullable=False),
)

# One identity may have several runs, told apart by their ordinal: `--fresh` starts another one. The
# identity's digests say what is comparable: study_digest knows no comments but the corpora,
# environment_digest the GPU that was chosen. So the rows of what was written and seen have addresses of their
# own.
runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("identity_digest", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("scale", Text, nullable=False),
    Column("study_digest", Text, nullable=False),
    Column("code_digest", Text, nullable=False),
    Column("environment_digest", Text, nullable=False),
    Column("plant", Text),
    Column("study_row", ForeignKey("studies.digest"), nullable=False, index=True),
    Column("environment_row", ForeignKey("environments.digest"), nullable=False),
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

# Every trial that a run plans, in the order of the plan, written with the run: one without an attempt is
# missing.
trials = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("spec_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("condition", Json, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("spec_json", Text, nullable=False),
    UniqueConstraint("run_id", "spec_id"),
)

# superseded_state keeps what an attempt was before it was set aside.
# The database itself holds that no trial of a run counts twice, whatever a driver does: the index's
# expression is NULL for attempts that do not count, and NULLs never collide. (A partial index would say the
# same, but naming a dialect's option here loads that dialect on every start.)
attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trial_id", ForeignKey("trials.id"), nullable=False),
    Column("session_id", ForeignKey("sessions.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("superseded_state", Text),
    Column("started_at", Text, nullable=False),
    Column("seconds", Double),
    Column("outputs", Json, nullable=False),
    Column("spent", Json, nullable=False),
    Column("notes", Json, nullable=False),
    Column("error", Prose),
    Column("traceback", Prose),
    Column("nvml_reason", Prose),
    UniqueConstraint("trial_id", "number"),
    CheckConstraint(
        "state IN ('running', 'finished', 'diverged', 'failed', 'lost', 'interrupted', 'superseded')",
        name="state",
    ),
    CheckConstraint("(state = 'superseded') = (superseded_state IS NOT NULL)", name="superseded_state"),
    Index(
        "ux_attempts_counted_once",
        text("(CASE WHEN state IN ('running', 'finished', 'diverged') THEN trial_id END)"),
        unique=True,
    ),
)

# Rows live in the primary key's own tree: no second index to keep, a quarter less to write.
samples = Table(
    "samples",
    metadata,
    Column("attempt_id", ForeignKey("attempts.id"), primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Float64),
    sqlite_with_rowid=False,
)

checks = Table(
    "checks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("attempt_id", ForeignKey("attempts.id"), nullable=False, index=True),
    Column("case", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("deviation", Float64),
    Column("tolerance", Float64),
    Column("compared", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("detail", Prose, nullable=False),
)

# What attempts wrote, sentence by sentence, with its scores: compressed, and kept once however often it was
# written again, since every round of an arm that repeats itself writes the same.
sentences = Table(
    "sentences",
    metadata,
    Column("content_id", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

attempt_sentences = Table(
    "attempt_sentences",
    metadata,
    Column("attempt_id", ForeignKey("attempts.id"), primary_key=True),
    Column("content_id", ForeignKey("sentences.content_id"), nullable=False),
)

# What was seen from outside the measured process, a column a field of
# harness.telemetry.process_sampler.TelemetrySample; the GPU's are NULL where the attempt's nvml_reason says
# why.
telemetry = Table(
    "telemetry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("attempt_id", ForeignKey("attempts.id"), nullable=False, index=True),
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

# Ceilings and scatter of an environment, whose digest is that of runs; the newest counts, older ones stay.
calibrations = Table(
    "calibrations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("environment_digest", Text, nullable=False, index=True),
    Column("made_at", Text, nullable=False),
    Column("code_digest", Text, nullable=False),
    Column("facts", Json, nullable=False),
)

# Files that results made: a checkpoint was made by an attempt, a report of a run.
artifacts = Table(
    "artifacts",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("content_id", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("path", Prose, nullable=False),
    Column("attempt_id", ForeignKey("attempts.id")),
    Column("run_id", ForeignKey("runs.id")),
    Column("made_at", Text, nullable=False),
    CheckConstraint("kind IN ('checkpoint', 'report')", name="kind"),
    CheckConstraint("(attempt_id IS NULL) <> (run_id IS NULL)", name="maker"),
)

# The last judgement of a run's claims. Written anew as a whole: the samples stay, the code that judges them
# changes. `basis` is all that the verdict can be computed from again (harness.analysis.claims.decision); NULL
# in rows older than it.
verdicts = Table(
    "verdicts",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("claim", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("effect", Figure),
    Column("low", Figure),
    Column("high", Figure),
    Column("n", Integer, nullable=False),
    Column("claimed", Figure),
    Column("reason", Prose, nullable=False),
    Column("computed_at", Text, nullable=False),
    Column("code_digest", Text, nullable=False),
    Column("basis", Json),
)

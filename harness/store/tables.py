"""The tables. A change here needs a migration in `migrations/versions/`; a test compares the two.

    studies ──────┐
    environments ─┴─ runs ─┬─ sessions (one per invocation of the driver)
                           ├─ trials ── attempts ─┬─ samples · checks · telemetry
                           │                      ├─ attempt_sentences ── sentences
                           │                      └─ artifacts (checkpoints)
                           ├─ chain (of digests of attempts)
                           ├─ verdicts
                           ├─ judgements
                           └─ artifacts (reports)

    declared_claims and declarations belong to no run: what is declared outlives every run.

Times are ISO 8601 texts in UTC, so that they sort and read in the same way in every database.
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

# Runs share the rows of studies and environments, whose keys are the digests of their content.
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

# One identity may have several runs with different ordinals: `--fresh` starts another one. The digests of the
# identity cover what must be equal: study_digest ignores comments and includes the corpora, and
# environment_digest includes the chosen GPU. The rows with the text of the study and with the environment
# therefore have digests of their own. `draw` counts the sets of seeds that the study has used, and
# `training_draw` is the one of the shared trainings (harness.study.seeds). `number` counts the runs of the
# database in the order in which they were created, because clocks may jump.
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
    Column("draw", Integer, nullable=False, server_default=text("1")),
    Column("training_draw", Integer, nullable=False, server_default=text("1")),
    Column("study_row", ForeignKey("studies.digest"), nullable=False, index=True),
    Column("environment_row", ForeignKey("environments.digest"), nullable=False),
    Column("created_at", Text, nullable=False),
    Column("number", Integer, nullable=False, server_default=text("0"), index=True),
    UniqueConstraint("identity_digest", "ordinal"),
)

# ended_at stays NULL if the driver was killed. writes counts the transactions of the driver; it is −1 as soon
# as its driver may not write any more (harness.store.drivers). beats counts how often the driver has said
# that it still works. process identifies the driver's process (harness.machine.process_identity); sessions of
# older versions do not have it.
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
    Column("writes", Integer, nullable=False, server_default=text("0")),
    Column("beats", Integer, nullable=False, server_default=text("0")),
    Column("process", Json),
)

# Every trial of a run's plan, in the order of the plan. They are written with the run, so a trial without an
# attempt is missing.
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

# superseded_state is the state of an attempt before it was superseded. cause is the kind of thing that ended
# an attempt without a result (harness.trial.causes).
# The database itself ensures that no trial of a run counts twice, whatever a driver does: the expression of
# the index is NULL for attempts that do not count, and NULLs never collide. (A partial index would do the
# same, but it needs an option of a dialect, and naming that option imports the dialect on every start.)
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
    Column("cause", Text),
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

# Rows are stored in the tree of the primary key. Without a second index, a quarter less is written.
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

# The sentences that attempts wrote, with their scores, compressed. Equal sentences are stored once, because a
# deterministic arm writes the same in every round.
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

# The chain of each run (harness.store.chain). Rows are added and never changed. `content` holds the digest of
# each part of what the attempt recorded, and `digest` covers the other columns and the link before.
chain = Table(
    "chain",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("event", Text, nullable=False),
    Column("attempt_id", ForeignKey("attempts.id"), nullable=False),
    Column("content", Json, nullable=False),
    Column("digest", Text, nullable=False),
    CheckConstraint("event IN ('earlier', 'ended', 'superseded')", name="event"),
)

# Samples of the measured process, with one column per field of
# harness.telemetry.process_sampler.TelemetrySample. What could not be read is NULL, and the attempt's
# nvml_reason says why columns of the GPU are.
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
    Column("other_cpu_percent", Double),
    Column("state", Text),
    Column("cpu_seconds", Double),
    Column("involuntary_switches", BigInteger),
    Column("throttled_periods", BigInteger),
    Column("throttled_seconds", Double),
    Column("suspended_seconds", Double),
    Column("clock_jump_seconds", Double),
    Column("peak_rss_bytes", BigInteger),
    Column("cgroup_peak_bytes", BigInteger),
    Column("cpu_energy_j", Double),
    Column("gpu_power_w", Double),
    Column("gpu_energy_j", Double),
    Column("gpu_memory_clock_mhz", Integer),
    Column("gpu_other_processes", Integer),
)

# The speeds and the scatter of an environment, with the environment_digest of runs. The newest row counts.
# after_session is the newest session that was in the store then, because clocks may jump.
calibrations = Table(
    "calibrations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("environment_digest", Text, nullable=False, index=True),
    Column("made_at", Text, nullable=False),
    Column("code_digest", Text, nullable=False),
    Column("facts", Json, nullable=False),
    Column("after_session", Integer, nullable=False, server_default=text("0")),
)

# Files that were produced from results: an attempt produces a checkpoint, and a report belongs to a run.
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

# The newest verdicts on a run's claims, which are replaced together: the samples stay, but the code that
# judges them changes. The verdict can be computed again from `basis` (harness.analysis.claims.decision),
# which is NULL in rows of older versions. `place` is the position of the claim in the study.
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

# Every judgement of a claim that differs from the one before, in the order in which they were made. Rows are
# never replaced. `claim_digest` identifies what the claim declared, `verdict` is what was said, `alone` is
# what the data of this run alone say, `complete` is whether every planned trial had finished, and
# `values_digest` identifies the values that were judged. Rows of older versions have no digests, and it is
# unknown whether they were complete.
judgements = Table(
    "judgements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False, index=True),
    Column("claim", Text, nullable=False),
    Column("claim_digest", Text, index=True),
    Column("verdict", Text, nullable=False),
    Column("alone", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("complete", Boolean),
    Column("effect", Text, nullable=False),
    Column("interval", Text, nullable=False),
    Column("values_digest", Text),
    Column("judged_at", Text, nullable=False),
    Column("code_digest", Text, nullable=False),
)

# The first appearance of each claim. `after_attempt` is the newest attempt that was in the store then: a
# sequence and not a clock, which anybody can set.
declared_claims = Table(
    "declared_claims",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("study", Text, nullable=False),
    Column("claim", Text, nullable=False),
    Column("content", Json, nullable=False),
    Column("after_attempt", Integer, nullable=False),
    Column("declared_at", Text, nullable=False),
    Column("code_digest", Text, nullable=False),
)

# What `harness declare` printed: the digest of all that a study declares, to be given to somebody else.
declarations = Table(
    "declarations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", Text, nullable=False, index=True),
    Column("scale", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("content", Json, nullable=False),
    Column("after_attempt", Integer, nullable=False),
    Column("declared_at", Text, nullable=False),
)

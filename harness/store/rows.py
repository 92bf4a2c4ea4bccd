"""The rows of the store: small frozen records with one field per column.

Columns with a document of another package (`study_json`, `spec_json`) stay text, which that package parses.
Plain mappings (environment, provenance, condition, outputs, spent, notes) are decoded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from harness.invariants.base import Check
from harness.tasks.work import Work
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.causes import failure_text

TrialStatus = Literal["running", "finished", "failed", "superseded"]
AttemptState = Literal["running", "finished", "diverged", "failed", "lost", "interrupted", "superseded"]
"""`diverged` has finished, with a loss that is not finite: this is data and not a failure. A `failed` attempt
reported an error, a `lost` one belongs to a worker that ended without a report, and an `interrupted` one to a
driver that ended. A `superseded` attempt does not count any more."""

COUNTED_STATES: tuple[AttemptState, ...] = ("finished", "diverged")
"""The states of attempts that count. Their trials need not run again."""


def now() -> str:
    """The time of day in UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def row_digest(values: Mapping[str, Any]) -> str:
    """The key of a row that several runs share: a digest of its values, 16 hexadecimal digits."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Everything that must be equal for two invocations to be the same run.

    `code_digest` is the digest of the code that can change a measurement. `plant` is the name of a planted
    bug, so that runs with a planted bug are never mixed with others.
    """

    study_digest: str
    scale: str
    code_digest: str
    environment_digest: str
    plant: str | None = None

    @property
    def digest(self) -> str:
        """12 hexadecimal digits."""
        parts = [self.study_digest, self.scale, self.code_digest, self.environment_digest, self.plant]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A study at one scale, with one version of the code, in one environment.

    The id consists of the identity's digest and an ordinal. `study_source` and `environment` were recorded
    when the run was created. `expected_trials` is the number of trials in its plan. `number` orders all runs
    of a store as they were created, whatever the clock said. `draw` and
    `training_draw` say which seeds its trials and its shared trainings draw from (`harness.study.seeds`).
    """

    id: str
    ordinal: int
    study: str
    scale: str
    study_digest: str
    code_digest: str
    environment_digest: str
    plant: str | None
    study_json: str
    study_source: str
    environment: dict[str, Any]
    expected_trials: int
    created_at: str
    number: int = 0
    draw: int = 1
    training_draw: int = 1

    @property
    def identity(self) -> Identity:
        return Identity(
            study_digest=self.study_digest,
            scale=self.scale,
            code_digest=self.code_digest,
            environment_digest=self.environment_digest,
            plant=self.plant,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One invocation of the driver. `ended_at` is None while it runs, and stays None if it was killed."""

    id: int
    run_id: str
    started_at: str
    ended_at: str | None
    host: str
    pid: int
    provenance: dict[str, Any]


SESSION_COLUMNS = tuple(Session.__dataclass_fields__)


class AttemptNow(NamedTuple):
    """The state of an attempt."""

    id: int
    state: AttemptState


class AttemptTime(NamedTuple):
    """When an attempt began, and how long it took, in its session. `spec_id` is the id that the store has."""

    spec_id: str
    session_id: int
    state: AttemptState
    started_at: str
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrial:
    """A trial of the plan with the state of its newest attempt, or `planned` if there is no attempt."""

    spec_id: str
    purpose: str
    task: str
    arm: str
    condition: dict[str, str]
    seed: int
    round: int
    spec_json: str
    state: AttemptState | Literal["planned"]
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One attempt at a trial, with the trial.

    `id` is the id of the attempt, and `attempt` its number among the attempts at the trial. `position` is its
    place in the order in which the attempts of the run began, `seconds` the wall time of its process, and
    `superseded_state` its state before it was superseded.
    """

    id: int
    run_id: str
    session_id: int
    spec_id: str
    purpose: str
    task: str
    arm: str
    condition: dict[str, str]
    seed: int
    round: int
    position: int
    attempt: int
    state: AttemptState
    superseded_state: AttemptState | None
    started_at: str
    seconds: float | None
    spec_json: str
    outputs: dict[str, str]
    spent: Work
    notes: dict[str, Any]
    error: str | None
    traceback: str | None
    nvml_reason: str | None
    cause: str | None = None

    @property
    def status(self) -> TrialStatus:
        """The state in four groups: whether the attempt counts, and if not, why."""
        if self.state in COUNTED_STATES:
            return "finished"
        if self.state == "running" or self.state == "superseded":
            return self.state
        return "failed"

    @property
    def failure(self) -> str:
        """Why the attempt has no result."""
        return failure_text(self.cause, self.error)


class SampleRow(NamedTuple):
    """One sample. Here and in the rows below, `trial_id` is the id of a TrialRow, which is an attempt."""

    trial_id: int
    metric: str
    step: int
    value: float


@dataclass(frozen=True, kw_only=True)
class CheckRow(Check):
    """One comparison that an invariant made for an arm."""

    trial_id: int
    invariant: str
    arm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRow(TelemetrySample):
    """One sample of a trial's process."""

    trial_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The chain of a run (`harness.store.chain`), compared with what the store holds now.

    `digests` are those of its links, the oldest first. `earlier` counts the attempts that a version of the
    harness without chains wrote, so that a change of them is not noticed. `problems` says what was changed
    after it was written.
    """

    digests: tuple[str, ...] = ()
    earlier: int = 0
    problems: tuple[str, ...] = ()

    @property
    def head(self) -> str | None:
        """The digest of the newest link, which depends on all others. None if no attempt has ended."""
        return self.digests[-1] if self.digests else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that was produced from results. `sha256` is the digest of the file.

    A checkpoint has the content id of its training and belongs to an attempt; a report belongs to a run. So
    either `run_id` or `attempt_id` is None.
    """

    kind: Literal["checkpoint", "report"]
    content_id: str
    sha256: str
    path: str
    attempt_id: int | None = None
    run_id: str | None = None
    made_at: str = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """The verdict on a claim.

    `effect`, its interval and the `claimed` figure are in the claim's unit, or None. `code_digest` is the
    judging digest of the code that computed the verdict, which may be newer than the code of the run. `basis`
    holds everything from which the verdict can be computed again (`harness.analysis.claims.decision`) and,
    under `written`, its figures in words. It is None in rows of an older store.
    """

    claim: str
    verdict: str
    effect: float | None
    low: float | None
    high: float | None
    n: int
    claimed: float | None
    reason: str
    code_digest: str
    basis: dict[str, Any] | None = None
    computed_at: str = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRow:
    """A calibration of an environment. `facts` is a harness.machine.calibration.Calibration as plain data."""

    environment_digest: str
    facts: dict[str, Any]
    code_digest: str
    made_at: str = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedClaim:
    """A judgement of a claim on one run.

    `verdict` is what was said and `alone` what the data of this run alone say. They differ if the claim was
    `late`, which means declared after the data, or if an earlier run decides it. `complete` says whether
    every planned trial had finished. `effect` and `interval` are texts. The digests identify what the claim
    declared and the values that were judged. Judgements of older versions have no digests and do not say
    whether they were complete. `id` is 0 until the judgement is stored.
    """

    run_id: str
    claim: str
    claim_digest: str | None
    verdict: str
    alone: str
    late: bool
    complete: bool | None
    effect: str
    interval: str
    values_digest: str | None
    code_digest: str
    judged_at: str = field(default_factory=now)
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredClaim:
    """The first appearance of what a claim declares. `after_attempt` is the newest attempt that was in the
    store then.
    """

    digest: str
    study: str
    claim: str
    content: dict[str, Any]
    code_digest: str
    after_attempt: int = 0
    declared_at: str = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """All that a study declared at one moment, with its digest."""

    study: str
    scale: str
    digest: str
    content: dict[str, Any]
    declared_at: str
    after_attempt: int = 0
    id: int = 0


class MeasuredAttempt(NamedTuple):
    """An attempt at a measurement that finished, even if it was superseded later. The draws are its run's."""

    id: int
    spec_json: str
    draw: int
    training_draw: int

"""What the store gives back: small frozen records, a field a column.

Columns that hold a document of another room (`study_json`, `spec_json`) stay text, for that room to parse;
plain mappings (environment, provenance, condition, outputs, spent, notes) are decoded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from harness.invariants.base import Check
from harness.telemetry.process_sampler import TelemetrySample

TrialStatus = Literal["running", "finished", "failed", "superseded"]
AttemptState = Literal["running", "finished", "diverged", "failed", "lost", "interrupted", "superseded"]
"""`diverged` finished, with a loss that left the numbers: data, not a failure. Of the failures, `failed` gave
a reason, `lost` is a worker that died without a word, `interrupted` a driver that did. `superseded` was set
aside, whatever it was."""

COUNTED: tuple[AttemptState, ...] = ("finished", "diverged")
"""Attempts that stand: their trials need not run again."""


def now() -> str:
    """The time of day in UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes two runs comparable as one.

    `plant` names a bug planted on purpose: such runs stay apart from honest ones.
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
    """A study at a scale, by one code, in one environment. The id is the identity's digest and an ordinal.

    `study_source` and `environment` are what was read and seen when the run was made; `expected_trials`
    counts its plan.
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
    """One invocation of the driver; `ended_at` is None while it works, and for good if it died."""

    id: int
    run_id: str
    started_at: str
    ended_at: str | None
    host: str
    pid: int
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrial:
    """A trial of the plan and where it stands: the state of its newest attempt, `planned` while there is
    none.
    """

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
    """One attempt at a trial, with what was tried; `id` is the attempt's, `attempt` its number among the
    trial's.

    `position` is the order in which it ran, `seconds` the wall time of its process, `superseded_state` what
    it was before it was set aside.
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
    spent: dict[str, float]
    notes: dict[str, Any]
    error: str | None
    traceback: str | None
    nvml_reason: str | None

    @property
    def status(self) -> TrialStatus:
        """The state, coarsely: does it stand, and if not, why not."""
        if self.state in COUNTED:
            return "finished"
        if self.state == "running" or self.state == "superseded":
            return self.state
        return "failed"


class SampleRow(NamedTuple):
    """One raw value; `trial_id` is the id of the TrialRow that measured it, an attempt, here and in the rows
    below.
    """

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
    """One sample of a trial's process. `source` is `psutil`, or `psutil+nvml` if it includes the GPU."""

    trial_id: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that results made, addressed by what it was made from; `sha256` is the file's own.

    A checkpoint's content id is that of its recipe, and an attempt made it; a report is of a run. One of the
    two is None.
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
    """What became of a claim. `effect` and its interval, and the `claimed` figure, are in the claim's own
    unit or None.

    `code_digest` is the code's that judged, which may be newer than the run's. `basis` is what the verdict
    can be computed from again (`harness.analysis.claims.decision`) and, under `written`, its figures in
    words; None in a store older than it.
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
    """What an environment was measured to be; `facts` is a harness.machine.calibration.Calibration as plain
    data.
    """

    environment_digest: str
    facts: dict[str, Any]
    code_digest: str
    made_at: str = field(default_factory=now)

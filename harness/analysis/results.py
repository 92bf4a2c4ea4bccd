"""What the analysis says: contrasts between arms, settled claims, and why something does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["invalid", "identical", "equivalent", "better", "worse", "undecided"]
ClaimVerdict = Literal["confirmed", "refuted", "undecided", "invalid"]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One arm against the baseline under one condition, on one metric.

    `effect` is arm over baseline, the exponential of the Hodges-Lehmann estimate over `n` paired rounds;
    `low` and `high` bound its 95 % signed-rank interval, `low90` and `high90` the 90 % one, `t_low` and
    `t_high` the t interval (a diagnostic). Of counts it is the estimate of arm − baseline over `n` seeds. Of
    scores it is arm − baseline over `n` sentences, with bootstrapped intervals and `beyond`: the p of each
    bound that matters. `p` is exact and two-sided, `p_sign_flip` that of the sign flips beside it, a
    diagnostic of what is paired over seeds, `p_adjusted` by Holm over the contrasts of this metric that no
    claim names (else equal to `p`). `baseline_value` and `value` are medians over trials, in the metric's
    unit. `pairs` holds one (replicate, log ratio or difference) each.
    """

    metric: str
    arm: str
    condition: dict[str, str]
    n: int
    effect: float
    low: float
    high: float
    low90: float
    high90: float
    t_low: float
    t_high: float
    p: float
    p_adjusted: float
    p_sign_flip: float | None = None
    margin: float
    baseline_value: float
    value: float
    pairs: tuple[tuple[int, float], ...]
    beyond: tuple[tuple[float, float], ...] = ()
    verdict: Verdict
    relevant: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A claim's effect with its 95 % interval and the claimed figure: ratios, a factor a doubling, or a
    difference.

    None where there is none.
    """

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    claimed: float | None = None


@dataclass(frozen=True, kw_only=True)
class SettledClaim:
    """A claim and what became of it. `effect`, `interval` and `claimed` are written for people; `sentence`
    says it in words.

    `basis` is what the verdict was computed from (`harness.analysis.claims.decision`), None where nothing
    was: the claim is invalid, or exact.
    """

    id: str
    source: str
    says: str
    verdict: ClaimVerdict
    effect: str
    interval: str
    claimed: str
    n: int
    sentence: str
    numbers: Numbers = Numbers()
    basis: dict[str, Any] | None = None

    def row(self) -> dict[str, Any]:
        """The claim as data."""
        return {
            "id": self.id,
            "verdict": self.verdict,
            "effect": self.numbers.effect,
            "low": self.numbers.low,
            "high": self.numbers.high,
            "n": self.n,
            "claimed": self.numbers.claimed,
            "reason": self.sentence,
        }

    def kept(self) -> dict[str, Any]:
        """What the store keeps beside the verdict: what it was computed from, and its figures as they were
        written.
        """
        written = {"effect": self.effect, "interval": self.interval, "claimed": self.claimed}
        return {**(self.basis or {}), "written": written}


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """One arm under one condition: the median over its trials and their range, for one metric.

    `trials` counts them.
    """

    metric: str
    arm: str
    condition: dict[str, str]
    trials: int
    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """What an arm's trials spent of one quantity under one condition, against the baseline's.

    `enforced` quantities must match, unless the study declares that they differ.
    """

    quantity: str
    arm: str
    condition: dict[str, str]
    baseline_spent: float
    spent: float
    declared: bool
    matches: bool
    enforced: bool = True

    @property
    def confounds(self) -> bool:
        """Whether the arm differs from the baseline in more than its levels."""
        return self.enforced and not self.matches and not self.declared


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """One comparison that an invariant made for an arm, as stored."""

    invariant: str
    arm: str
    case: str
    precision: str
    passed: bool
    deviation: float
    tolerance: float
    compared: int
    skipped: int
    detail: str


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Everything a report says in numbers. `invalid` maps each arm that does not count to the reason."""

    answer: str
    claims: tuple[SettledClaim, ...]
    contrasts: tuple[Contrast, ...]
    summaries: tuple[ArmSummary, ...]
    parity: tuple[ParityRow, ...]
    checks: tuple[CheckRow, ...]
    invalid: dict[str, str]
    warnings: tuple[str, ...]

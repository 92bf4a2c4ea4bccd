"""The results of an analysis: contrasts between arms, settled claims, and why numbers do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.store.rows import CheckRow
from harness.tasks.work import Amount
from harness.wording import ComparedBy

Verdict = Literal["invalid", "identical", "equivalent", "better", "worse", "undecided"]
ALPHA = 0.05
"""The level of a test that stands alone; in a family, Holm's procedure makes it smaller."""

ClaimVerdict = Literal["confirmed", "refuted", "undecided", "invalid"]


def without_difference(compared_by: ComparedBy, margin: float) -> tuple[float, float]:
    """The bounds of the effects that do not matter: equally far from none, as ratios or as differences."""
    if compared_by == "differences":
        return -margin, margin
    return 1 / (1 + margin), 1 + margin


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One arm against the baseline under one condition, on one metric.

    `effect` is arm ÷ baseline for metrics that are compared by ratios (the exponential of the Hodges-Lehmann
    estimate of the log ratios) and arm − baseline for the others; `n` counts the pairs. `low` and `high`
    bound its 95 % interval, `low90` and `high90` the 90 % interval, `t_low` and `t_high` the t interval (a
    diagnostic). A text score is compared over `n` distinct texts and a number of `seeds`, and has
    `beyond`: the p at each bound that a rule needs. `open` says why a score decides nothing, whatever its
    values are. `p` is two-sided. `p_sign_flip` is a diagnostic for pairs of seeds. `p_adjusted` has Holm's
    correction over the contrasts of this metric that no claim uses; for the others it equals `p`.
    `models` is the number of trained models whose rounds are in `pairs`, `unknown` the replicates in which
    both arms diverged, and `diverged` says in words how often they did. The level of the intervals is
    1 − `alpha` and 1 − 2 `alpha`, at which the verdict was decided. `value` and `baseline_value` are medians
    over trials in the metric's unit. `pairs` holds (replicate, log
    ratio or difference).
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
    models: int = 1
    unknown: tuple[int, ...] = ()
    diverged: str = ""
    alpha: float = ALPHA
    beyond: tuple[tuple[float, float], ...] = ()
    seeds: int = 0
    open: str = ""
    verdict: Verdict
    relevant: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A claim's effect with its 95 % interval, and the claimed figure, in this unit, which is × for ratios.
    Missing numbers are None.
    """

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    claimed: float | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class ClaimAxis:
    """On which axis a figure shows the numbers of a claim: that of ratios or that of differences of a
    `quantity`. Effects within the `margin` do not matter, and those inside the `region` confirm a claimed
    figure.
    """

    compared_by: ComparedBy
    quantity: str
    margin: float
    region: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class SettledClaim:
    """A claim with its verdict. `effect`, `interval` and `claimed` are texts; `sentence` explains the
    verdict. `axis` is None if the claim compares nothing with another arm. If a claim is about several arms,
    the `numbers` are those of the arm `decisive`.

    `basis` is the data that the verdict was computed from (`harness.analysis.claims.decision`). It is None
    for a claim that is invalid or exact. `alone` is what the data of this run alone say, if that is not the
    verdict: the claim is `late`, or an earlier run decides it (`harness.analysis.standing`).
    """

    id: str
    source: str
    says: str
    verdict: ClaimVerdict = "undecided"
    effect: str = "–"
    interval: str = "–"
    claimed: str = "–"
    n: int = 0
    sentence: str = ""
    numbers: Numbers = Numbers()
    axis: ClaimAxis | None = None
    decisive: str = ""
    basis: dict[str, Any] | None = None
    alone: ClaimVerdict | None = None
    late: bool = False

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

    @property
    def alone_verdict(self) -> ClaimVerdict:
        """What the data of this run alone say."""
        return self.alone or self.verdict

    def stored_basis(self) -> dict[str, Any]:
        """What the store holds beside the verdict: the basis, and the texts of the figures."""
        written = {"effect": self.effect, "interval": self.interval, "claimed": self.claimed}
        return {**(self.basis or {}), "written": written}


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """The median and the range of one metric over the trials of one arm under one condition."""

    metric: str
    arm: str
    condition: dict[str, str]
    trials: int
    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """How much of one quantity an arm's trials spent under one condition, and how much the baseline spent. A
    quantity may be a fingerprint of a text instead (`harness.tasks.work`).

    `enforced` quantities must match unless the study declares that they differ.
    """

    quantity: str
    arm: str
    condition: dict[str, str]
    baseline_spent: Amount
    spent: Amount
    declared: bool
    matches: bool
    enforced: bool = True

    @property
    def confounds(self) -> bool:
        """Whether this difference in work is a confound."""
        return self.enforced and not self.matches and not self.declared


@dataclass(frozen=True, kw_only=True, repr=False)
class Analysis:
    """All results of a run. `invalid` maps each arm whose numbers do not count to the reason."""

    answer: str
    claims: tuple[SettledClaim, ...]
    contrasts: tuple[Contrast, ...]
    summaries: tuple[ArmSummary, ...]
    parity: tuple[ParityRow, ...]
    checks: tuple[CheckRow, ...]
    invalid: dict[str, str]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Analysis({self.answer!r}, {len(self.claims)} claims, {len(self.contrasts)} contrasts)"

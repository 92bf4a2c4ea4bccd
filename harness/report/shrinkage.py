"""How much of what a search saw was left on fresh seeds. The best of many points is partly the luckiest one,
so its effect shrinks when it is measured again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.results import Contrast
from harness.metrics import Metric
from harness.search.findings import SearchFindings
from harness.search.points import SearchedPoint, worst_first
from harness.study.loaded import LoadedStudy
from harness.study.proof_study import FACTOR


@dataclass(frozen=True, kw_only=True)
class Shrinkage:
    """One proven point on one objective. `level` is its name in the proof.

    `seen` is its effect in the search: the ratio of the medians to the arm with which the search began, or
    their difference. It is NaN if that arm has no finite value, or if there is no such ratio. `proof` is the
    contrast of the proof, or None if there is none yet.
    """

    level: str
    point: SearchedPoint
    objective: Metric
    seen: float
    proof: Contrast | None

    def gain(self, effect: float) -> float:
        """How much better an effect is than none: a share of the earlier value, or a difference. It is
        negative if the effect is worse.
        """
        return worst_first(self.objective) * (self.objective.neutral - effect)

    @property
    def proven_gain(self) -> tuple[float, float, float] | None:
        """The gain in the proof and the ends of its interval, the smaller first. None without a valid
        contrast.
        """
        proof = self.proof
        if proof is None or proof.verdict == "invalid" or not math.isfinite(proof.effect):
            return None
        low, high = sorted(map(self.gain, (proof.low, proof.high)))
        return self.gain(proof.effect), low, high


def shrinkages(
    findings: SearchFindings, proof: LoadedStudy, contrasts: Sequence[Contrast]
) -> tuple[Shrinkage, ...]:
    """Each proven point on each objective, beside the contrasts of the proof."""
    arms = {arm.names[FACTOR]: arm.name for arm in proof.arms}
    begin = findings.begin
    by_arm = {(contrast.arm, contrast.metric): contrast for contrast in contrasts}
    return tuple(
        Shrinkage(
            level=level,
            point=point,
            objective=objective,
            seen=effect(point.median(objective), begin.median(objective), objective)
            if begin.counts
            else math.nan,
            proof=by_arm.get((arms.get(level, ""), objective.name)),
        )
        for level, point in findings.best.items()
        for objective in findings.objectives
    )


def effect(value: float, before: float, objective: Metric) -> float:
    """The ratio of two values of an objective or their difference, as the objective is compared. NaN if it
    does not exist.
    """
    if not (math.isfinite(value) and math.isfinite(before)):
        return math.nan
    if objective.compared_by == "differences":
        return value - before
    return value / before if before != 0 else math.nan

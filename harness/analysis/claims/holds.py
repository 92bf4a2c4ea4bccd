"""How the form `holds` is settled."""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.claims.settlement import Settlement
from harness.analysis.results import Numbers, SettledClaim
from harness.analysis.validity.invalid_arms import describe
from harness.analysis.validity.warnings import wanted_alike
from harness.config import canonical_json
from harness.store.rows import CheckRow
from harness.study.claims.holds import HoldsClaim
from harness.wording import count


class HoldsSettlement(Settlement[HoldsClaim]):
    """Confirmed if every arm passed. A broken invariant makes the claim invalid instead of refuting it,
    because the fault is in the program and not in the technique.
    """

    @property
    def claimed(self) -> str:
        return "no difference"

    def settle(self) -> SettledClaim:
        invariant = self.claim.holds
        checks = [check for check in self.evidence.frames.checks if check.invariant == invariant]
        worst, compared = max(checks, key=_severity), sum(check.compared for check in checks)
        number = "the one check" if len(checks) == 1 else f"all {count(len(checks), 'check')}"
        settled = self.exactly(
            "confirmed",
            f"{invariant} holds in {number} ({count(compared, 'comparison')}; the closest to its limit is "
            f"{describe(worst)}){self._same_outputs()}",
        )
        return replace(
            settled,
            effect=f"max deviation {worst.deviation:.2g}",
            interval=f"tolerance {worst.tolerance:g}",
            n=len(checks),
            numbers=Numbers(effect=worst.deviation, claimed=0.0),
        )

    def _same_outputs(self) -> str:
        """How many trials gave the baseline's outputs bit for bit, among the arms that are expected to."""
        arms = (arm.name for arm in self.loaded.arms[1:])
        alike = {arm for arm in arms if wanted_alike(self.loaded, arm, self.claim.holds)}
        measured = {
            (t.arm, (canonical_json(t.condition), t.seed, t.round)): t.outputs
            for t in self.evidence.frames.trials
            if t.purpose == "measure" and t.status == "finished"
        }
        baseline = self.loaded.baseline.name
        same = [
            outputs == measured.get((baseline, cell))
            for (arm, cell), outputs in measured.items()
            if arm in alike and outputs
        ]
        if not same:
            return ""
        return f"; outputs are identical to the baseline's in {sum(same):,} of {count(len(same), 'trial')}"


def _severity(check: CheckRow) -> float:
    return check.deviation / check.tolerance if check.tolerance else 0.0

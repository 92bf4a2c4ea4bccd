"""How the form `formula` is settled."""

from __future__ import annotations

import math
from dataclasses import replace

from harness.analysis.claims.settlement import Settlement
from harness.analysis.member import COUNTED
from harness.analysis.results import Numbers, SettledClaim
from harness.metrics import Metric, metric
from harness.study.claims.formula import FormulaClaim
from harness.wording import count


class FormulaSettlement(Settlement[FormulaClaim]):
    """Every trial is compared with the closed form. Trials in which both are zero (an arm without a cache)
    show nothing.
    """

    @property
    def claimed(self) -> str:
        return metric(self.claim.formula).label

    def settle(self) -> SettledClaim:
        record = metric(self.claim.metric)
        measured, predicted = self._by_trial(record), self._by_trial(metric(self.claim.formula))
        pairs = [(value, predicted[trial]) for trial, value in measured.items() if value or predicted[trial]]
        subject = record.label[0].upper() + record.label[1:]
        if not pairs:
            return self.exactly("undecided", f"{subject} and {self.claimed} are zero everywhere")
        margin, worst = self.loaded.study.margin(record), max(pairs, key=_error)
        good = sum(_error(pair) <= margin for pair in pairs)
        relation = "equal to" if margin == 0 else f"within {margin:.2g} of"
        settled = self.exactly(
            "confirmed" if good == len(pairs) else "refuted",
            f"{subject}: {relation} the closed form in {good:,} of {count(len(pairs), 'trial')}, "
            f"{_range(record, [value for value, _ in pairs])}{self._further_cases()}",
        )
        return replace(
            settled,
            effect=_largest(record, *worst),
            interval=COUNTED if record.exact else "–",
            n=len(pairs),
            numbers=Numbers(effect=_error(worst), claimed=0.0),
        )

    def _by_trial(self, record: Metric) -> dict[tuple[str, str, int, int], float]:
        return {
            (arm.name, condition.name, *trial): value
            for arm in self.loaded.arms
            for condition in self.loaded.conditions
            for trial, value in self.evidence.cells.trials(record, arm.name, condition).items()
        }

    def _further_cases(self) -> str:
        invariant = self.claim.also_holds
        checks = [check for check in self.evidence.frames.checks if check.invariant == invariant]
        compared = sum(check.compared for check in checks)
        return f"; {invariant} holds in {count(compared, 'further case')}" if compared else ""


def _error(pair: tuple[float, float]) -> float:
    """The relative error of a value against its formula."""
    value, formula = pair
    return abs(value - formula) / abs(formula) if formula else math.inf


def _largest(record: Metric, value: float, formula: float) -> str:
    if value == formula:
        return "no difference"
    return f"largest difference {record.format(abs(value - formula))} of {record.format(formula)}"


def _range(record: Metric, values: list[float]) -> str:
    low, high = min(values), max(values)
    if low == high:
        return f"at {record.format(low)}"
    return f"from {record.format(low)} to {record.format(high)}"

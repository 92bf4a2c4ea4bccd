"""Claims that need no statistics: an invariant that holds, a quantity that follows its formula to the byte."""

from __future__ import annotations

import math

from harness.analysis.claims.evidence import Evidence, Finding
from harness.analysis.results import Numbers
from harness.analysis.trial_table import TrialTable
from harness.analysis.validity.invalid_arms import describe
from harness.analysis.validity.warnings import wanted_alike
from harness.config import canonical_json
from harness.metrics import Metric, metric
from harness.store.rows import CheckRow
from harness.study.claim import FormulaClaim, HoldsClaim
from harness.wording import count


def settle_holds(claim: HoldsClaim, evidence: Evidence) -> Finding:
    """Confirmed where every arm passed.

    A broken invariant is no refutation of the technique: something here is wrong.
    """
    if evidence.doubts:
        return Finding(
            verdict="invalid", claimed="no difference", sentence=f"Not every arm counts: {evidence.doubts}."
        )
    checks = [check for check in evidence.frames.checks if check.invariant == claim.holds]
    worst, compared = max(checks, key=_severity), sum(check.compared for check in checks)
    return Finding(
        verdict="confirmed",
        effect=f"max deviation {worst.deviation:.2g}",
        interval=f"tolerance {worst.tolerance:g}",
        claimed="no difference",
        n=len(checks),
        sentence=f"{claim.holds} holds in {_all(len(checks), 'check')} ({count(compared, 'comparison')}, "
        f"the closest to its limit: {describe(worst)}){_same_outputs(claim, evidence)}.",
        numbers=Numbers(effect=worst.deviation, claimed=0.0),
    )


def _severity(check: CheckRow) -> float:
    return check.deviation / check.tolerance if check.tolerance else 0.0


def _all(number: int, noun: str) -> str:
    return f"the one {noun}" if number == 1 else f"all {count(number, noun)}"


def _same_outputs(claim: HoldsClaim, evidence: Evidence) -> str:
    """Of the trials of arms that are to give what the baseline gives, how many gave it bit for bit."""
    arms = (arm.name for arm in evidence.loaded.arms[1:])
    alike = {arm for arm in arms if wanted_alike(evidence.loaded, arm, claim.holds)}
    baseline, same, total = evidence.loaded.baseline.name, 0, 0
    measured = [t for t in evidence.frames.trials if t.purpose == "measure" and t.status == "finished"]
    reference = {
        (canonical_json(t.condition), t.seed, t.round): t.outputs for t in measured if t.arm == baseline
    }
    for trial in measured:
        if trial.arm in alike and trial.outputs:
            total += 1
            same += trial.outputs == reference.get((canonical_json(trial.condition), trial.seed, trial.round))
    if not total:
        return ""
    return f"; outputs are identical to the baseline's in {same:,} of {count(total, 'trial')}"


def settle_formula(claim: FormulaClaim, evidence: Evidence) -> Finding:
    """Every trial against the closed form.

    Trials where both are zero (an arm without a cache) say nothing.
    """
    if evidence.doubts:
        return Finding(verdict="invalid", sentence=f"Not every arm counts: {evidence.doubts}.")
    record, formula = metric(claim.metric), metric(claim.formula)
    measured, predicted = (_by_trial(evidence.cells, each) for each in (record, formula))
    pairs = [(measured[trial], predicted[trial]) for trial in measured if measured[trial] or predicted[trial]]
    if not pairs:
        return Finding(
            verdict="undecided",
            claimed=formula.label,
            sentence=f"{_capital(record.label)} and {formula.label} are zero everywhere.",
        )
    margin, worst = evidence.loaded.study.margin(record), max(pairs, key=lambda pair: _off(*pair))
    good = sum(_off(*pair) <= margin for pair in pairs)
    sizes = [value for value, _ in pairs]
    relation = "equal to" if margin == 0 else f"within {margin:.2g} of"
    return Finding(
        verdict="confirmed" if good == len(pairs) else "refuted",
        effect=_largest(record, *worst),
        interval="counted exactly" if record.exact else "–",
        claimed=formula.label,
        n=len(pairs),
        sentence=f"{_capital(record.label)}: {relation} the closed form in {good:,} of {count(len(pairs), 'trial')}, "
        f"{_span(record, min(sizes), max(sizes))}{_grid(claim.also_holds, evidence)}.",
        numbers=Numbers(effect=_off(*worst), claimed=0.0),
    )


def _off(value: float, formula: float) -> float:
    return abs(value - formula) / abs(formula) if formula else math.inf


def _largest(record: Metric, value: float, formula: float) -> str:
    if value == formula:
        return "no difference"
    return f"largest difference {record.format(abs(value - formula))} of {record.format(formula)}"


def _span(record: Metric, low: float, high: float) -> str:
    return (
        f"at {record.format(low)}" if low == high else f"from {record.format(low)} to {record.format(high)}"
    )


def _grid(invariant: str | None, evidence: Evidence) -> str:
    compared = sum(check.compared for check in evidence.frames.checks if check.invariant == invariant)
    return f"; {invariant} holds in {count(compared, 'further case')}" if compared else ""


def _by_trial(cells: TrialTable, record: Metric) -> dict[tuple[str, str, int, int], float]:
    return {
        (arm.name, condition.name, *trial): value
        for arm in cells.loaded.arms
        for condition in cells.loaded.conditions
        for trial, value in cells.trials(record, arm.name, condition).items()
    }


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

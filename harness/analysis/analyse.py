"""From a run's rows to everything that its report says: a pure function."""

from __future__ import annotations

import math

from harness.analysis.claims.evidence import Evidence
from harness.analysis.claims.settle_claims import named_contrasts, settle_claims
from harness.analysis.contrasts import contrasts, drift_warnings, summaries
from harness.analysis.frames import RunFrames, trial_values, with_diverged
from harness.analysis.results import Analysis, Contrast, SettledClaim
from harness.analysis.trial_table import Cells
from harness.analysis.validity.idle import idle_warnings
from harness.analysis.validity.invalid_arms import invalid_arms
from harness.analysis.validity.unsteady import unsteady_warnings
from harness.analysis.validity.work import parity_rows, unknown_quantities
from harness.metrics import Metric, metric
from harness.study.loaded import LoadedStudy
from harness.study.planning.tuning import edge_warnings
from harness.wording import at_condition, effect_phrase, interval_text


def analyse(loaded: LoadedStudy, frames: RunFrames) -> Analysis:
    """Verdicts for every contrast and claim.

    The same rows and study give the same analysis, whoever computes it.
    """
    values = trial_values(frames.samples[frames.samples["purpose"] == "measure"])
    losses = {loaded.study.primary, *values["metric"]}
    cells = Cells(
        loaded=loaded,
        values=with_diverged(values, frames.trials, sorted(losses)),
        sentences=frames.sentences,
        outputs={trial.id: trial.outputs for trial in frames.trials},
    )
    parity = parity_rows(loaded, frames)
    invalid = invalid_arms(loaded, frames, parity)
    found = contrasts(cells, invalid, named_contrasts(loaded))
    evidence = Evidence(loaded=loaded, frames=frames, cells=cells, invalid=invalid)
    claims = settle_claims(evidence)
    return Analysis(
        answer=" ".join((*_doubt(evidence), *_comparisons(loaded, found), *_counts(claims))),
        claims=claims,
        contrasts=found,
        summaries=summaries(cells),
        parity=parity,
        checks=frames.checks,
        invalid=invalid,
        warnings=(
            *drift_warnings(cells, metric(loaded.study.primary)),
            *unknown_quantities(loaded, parity),
            *edge_warnings(loaded.tuned),
            *idle_warnings(loaded, frames.trials),
            *unsteady_warnings(metric(loaded.study.primary), frames.trials),
        ),
    )


def _doubt(evidence: Evidence) -> list[str]:
    if not evidence.invalid:
        return []
    if len(evidence.invalid) == len(evidence.loaded.arms):
        return [f"There is no answer: {evidence.doubts}."]
    return [f"There is no whole answer: {evidence.doubts}."]


def _comparisons(loaded: LoadedStudy, found: tuple[Contrast, ...]) -> list[str]:
    record = metric(loaded.study.primary)
    primary = [c for c in found if c.metric == record.name and c.verdict != "invalid"]
    if not primary:
        return []
    total = f"of {len(primary)} comparison{'s' if len(primary) > 1 else ''} of {record.label}"
    sentences = []
    for verdict in ("better", "worse"):
        decided = [contrast for contrast in primary if contrast.verdict == verdict]
        if decided:
            most = max(decided, key=lambda contrast: _size(contrast, record))
            unit = record.paired_over if most.n > 1 else record.paired_over[:-1]
            sentences.append(
                f"{len(decided)} {total} {'come' if len(decided) > 1 else 'comes'} out {verdict}"
                f"{', most so' if len(decided) > 1 else ':'} {loaded.label(most.arm)}{at_condition(most.condition)}, {effect_phrase(most.effect, record.compared_by)} the baseline's "
                f"(95 % interval {interval_text(most.low, most.high, record.compared_by)}, {most.n} {unit})."
            )
    for verdict, told in (("equivalent", "within the margin"), ("identical", "the same")):
        same = sum(contrast.verdict == verdict for contrast in primary)
        if same:
            sentences.append(f"{same} {total} {'are' if same > 1 else 'is'} {told}.")
    if not sentences:
        why = (
            "exploratory: effects are shown, none is decided"
            if loaded.study.design.exploratory
            else "none is decided"
        )
        sentences.append(f"{record.label[0].upper()}{record.label[1:]}: {why}.")
    return sentences


def _size(contrast: Contrast, record: Metric) -> float:
    """How far an effect is from none, on the metric's own scale."""
    if record.compared_by == "differences":
        return abs(contrast.effect)
    return abs(math.log(contrast.effect)) if contrast.effect else math.inf


def _counts(claims: tuple[SettledClaim, ...]) -> list[str]:
    counts = {
        verdict: sum(claim.verdict == verdict for claim in claims)
        for verdict in ("confirmed", "refuted", "undecided", "invalid")
    }
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    return [f"Claims: {told}."] if told else []

"""From a run's rows to everything that its report says: a pure function."""

from __future__ import annotations

from harness.analysis.claims import Evidence, named_contrasts, settle_claims
from harness.analysis.contrasts import Cells, contrasts, drift_warnings, summaries
from harness.analysis.frames import RunFrames, trial_values
from harness.analysis.results import Analysis, Contrast, SettledClaim
from harness.analysis.validity import invalid_arms, parity_rows
from harness.metrics import metric
from harness.study.load import LoadedStudy


def analyse(loaded: LoadedStudy, frames: RunFrames) -> Analysis:
    """Verdicts for every contrast and claim. The same rows and study give the same analysis, whoever computes it."""
    values = trial_values(frames.samples[frames.samples["purpose"] == "measure"])
    cells = Cells(loaded=loaded, values=values)
    parity = parity_rows(loaded, frames)
    invalid = invalid_arms(loaded, frames, parity)
    found = contrasts(cells, invalid, named_contrasts(loaded))
    claims = settle_claims(
        Evidence(loaded=loaded, frames=frames, cells=cells, contrasts=found, invalid=invalid)
    )
    return Analysis(
        answer=_answer(loaded, found, claims, invalid),
        claims=claims,
        contrasts=found,
        summaries=summaries(cells),
        parity=parity,
        checks=frames.checks,
        invalid=invalid,
        warnings=drift_warnings(cells, loaded.study.primary),
    )


def _answer(
    loaded: LoadedStudy,
    found: tuple[Contrast, ...],
    claims: tuple[SettledClaim, ...],
    invalid: dict[str, str],
) -> str:
    record = metric(loaded.study.primary)
    sentences = []
    if invalid:
        sentences.append("No answer for " + ", ".join(invalid) + ": see why below.")
    primary = [
        contrast for contrast in found if contrast.metric == record.name and contrast.verdict != "invalid"
    ]
    for verdict in ("better", "worse"):
        decided = [contrast for contrast in primary if contrast.verdict == verdict]
        if decided:
            most = max(decided, key=lambda contrast: abs(contrast.ratio - 1.0))
            where = ", ".join(
                f"{factor.replace('_', ' ')} {level}" for factor, level in most.condition.items()
            )
            sentences.append(
                f"{len(decided)} of {len(primary)} comparisons of {record.label} come out {verdict}, the largest for {most.arm}"
                + (f" at {where}" if where else "")
                + f": {most.ratio:.3g} × the baseline's (95 % interval {most.low:.3g} to {most.high:.3g}, {most.n} rounds)."
            )
    if primary and not any(contrast.verdict in ("better", "worse") for contrast in primary):
        sentences.append(f"No comparison of {record.label} shows a difference.")
    counts = {
        verdict: sum(claim.verdict == verdict for claim in claims)
        for verdict in ("confirmed", "refuted", "undecided", "invalid")
    }
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    if told:
        sentences.append(f"Claims: {told}.")
    return " ".join(sentences)

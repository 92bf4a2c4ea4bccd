"""From the rows of a run to everything that its report shows. This is a pure function of the rows."""

from __future__ import annotations

import math

from harness.analysis.claims import named_contrasts, settle_claims
from harness.analysis.claims.settlement import Evidence
from harness.analysis.contrasts import contrasts, summaries
from harness.analysis.frames import RunFrames, with_diverged
from harness.analysis.member import replicates_text
from harness.analysis.results import ALPHA, Analysis, Contrast, SettledClaim
from harness.analysis.standing import (
    NO_STANDINGS,
    Standings,
    with_standing,
    without_late_margins,
)
from harness.analysis.trial_table import TrialTable
from harness.analysis.validity.held_out import seen_texts
from harness.analysis.validity.invalid_arms import invalid_arms
from harness.analysis.validity.voids import (
    values_that_count,
    void_rounds_of,
    why_voids_decide_nothing,
)
from harness.analysis.validity.warnings import warnings
from harness.analysis.validity.work import parity_rows
from harness.config import canonical_json
from harness.metrics import REPLICATES, Metric, metric
from harness.study.loaded import LoadedStudy
from harness.study.planning.trials import keeps_begun_rounds
from harness.wording import count, effect_phrase, interval_text, level_text


def analyse(loaded: LoadedStudy, frames: RunFrames, standings: Standings = NO_STANDINGS) -> Analysis:
    """The verdict of every contrast and every claim, with all numbers behind them. `standings` say which
    claims were declared after the data or decided before.
    """
    void = void_rounds_of(loaded, frames.trials)
    values = values_that_count(frames.measured, void)
    losses = {loaded.study.primary, *values["metric"]}
    table = TrialTable(
        loaded=loaded,
        values=with_diverged(values, frames.trials, sorted(losses)),
        sentences=frames.sentences,
        outputs={trial.id: trial.outputs for trial in frames.trials},
        seen=seen_texts(frames.trials),
        without_value=frames.lost if keeps_begun_rounds(loaded) else frozenset(),
        void=void,
        open=why_voids_decide_nothing(loaded, frames),
    )
    parity = parity_rows(loaded, frames)
    invalid = invalid_arms(loaded, frames, parity)
    compared = contrasts(table, invalid, named_contrasts(loaded))
    compared = without_late_margins(compared, standings.late_margins)
    evidence = Evidence(loaded=loaded, frames=frames, cells=table, invalid=invalid)
    claims = with_standing(settle_claims(evidence), standings.claims)
    answer = (
        *_doubt(evidence),
        *_primary_contrasts(loaded, compared),
        *_claim_counts(claims),
        *_by_chance(loaded, compared, claims),
    )
    return Analysis(
        answer=" ".join(answer),
        claims=claims,
        contrasts=compared,
        summaries=summaries(table),
        parity=parity,
        checks=frames.checks,
        invalid=invalid,
        warnings=warnings(loaded, frames, table, parity),
    )


def _doubt(evidence: Evidence) -> list[str]:
    if not evidence.invalid:
        return []
    nothing = len(evidence.invalid) == len(evidence.loaded.arms)
    return [f"{'There is no answer' if nothing else 'The answer is incomplete'}: {evidence.doubts}."]


def _primary_contrasts(loaded: LoadedStudy, compared: tuple[Contrast, ...]) -> list[str]:
    """One sentence per verdict on the primary metric, or a sentence that says why there is no verdict."""
    record = metric(loaded.study.primary)
    primary = [c for c in compared if c.metric == record.name and c.verdict != "invalid"]
    if not primary:
        return []
    total = f"of {count(len(primary), 'contrast')} in {record.label}"
    sentences = []
    for verdict in ("better", "worse"):
        decided = [contrast for contrast in primary if contrast.verdict == verdict]
        if decided:
            largest = _effect_sentence(loaded, record, max(decided, key=lambda c: _size(c, record)))
            if len(decided) == 1:
                sentences.append(f"1 {total} is {verdict} than the baseline: {largest}.")
            else:
                sentences.append(
                    f"{len(decided)} {total} are {verdict} than the baseline, most of all {largest}."
                )
    for verdict, relation in (("equivalent", "equivalent to"), ("identical", "identical to")):
        same = sum(contrast.verdict == verdict for contrast in primary)
        if same:
            sentences.append(f"{same} {total} {'is' if same == 1 else 'are'} {relation} the baseline.")
    if not sentences:
        why = "no contrast with the baseline shows a difference or equality"
        if loaded.study.design.exploratory:
            why = "the study is exploratory, so effects are shown without a verdict"
        sentences.append(f"{record.label[0].upper()}{record.label[1:]}: {why}.")
    return sentences


def _effect_sentence(loaded: LoadedStudy, record: Metric, contrast: Contrast) -> str:
    """`dynamic at new tokens 256, 2.33 × the baseline's (95 % interval 2.3 to 2.36 ×, 10 rounds)`."""
    arm = f"{loaded.label(contrast.arm)}{loaded.at(contrast.condition)}"
    interval = interval_text(contrast.low, contrast.high, record.compared_by)
    return (
        f"{arm}, {effect_phrase(contrast.effect, record.compared_by)} the baseline's "
        f"({level_text(1 - contrast.alpha)} interval {interval}, "
        f"{replicates_text(contrast.n, REPLICATES[record.paired_over], contrast.models)})"
    )


def _size(contrast: Contrast, record: Metric) -> float:
    """How far an effect is from no effect, on the metric's own scale."""
    if record.compared_by == "differences":
        return abs(contrast.effect)
    return abs(math.log(contrast.effect)) if contrast.effect else math.inf


def _claim_counts(claims: tuple[SettledClaim, ...]) -> list[str]:
    verdicts = [claim.verdict for claim in claims]
    counts = [
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in ("confirmed", "refuted", "undecided", "invalid")
        if verdict in verdicts
    ]
    return [f"Claims: {', '.join(counts)}."] if counts else []


def _by_chance(
    loaded: LoadedStudy, compared: tuple[Contrast, ...], claims: tuple[SettledClaim, ...]
) -> list[str]:
    """How many of the verdicts would be wrong by chance alone: at most 5 % in each family."""
    decided = {claim.id for claim in claims if claim.verdict in ("confirmed", "refuted")}
    families: set[object] = {
        tested.family
        for name, claim in loaded.study.claims.items()
        if name in decided and (tested := claim.tested(loaded.study, loaded.arms, loaded.conditions))
    }
    named = set(named_contrasts(loaded))
    families |= {
        (contrast.metric, contrast.arm, canonical_json(contrast.condition)) in named
        for contrast in compared
        if contrast.metric == loaded.study.primary
        and contrast.verdict in ("better", "worse", "equivalent")
        and not metric(contrast.metric).exact
    }
    if not families:
        return []
    number = "1 family" if len(families) == 1 else f"each of {len(families)} families"
    wrong = f"at most {len(families) * ALPHA:.2g} of these verdicts would be wrong (5 % in {number})"
    return [f"By chance alone, {wrong}."]

"""Claims against the data: confirmed, refuted, undecided or invalid (validity.md, "Claims")."""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.claims.evidence import Evidence, Finding
from harness.analysis.claims.exact import settle_formula, settle_holds
from harness.analysis.claims.metric import settle_comparison
from harness.analysis.claims.sensitivity import settle_most_sensitive
from harness.analysis.claims.training import settle_diverges, settle_reaches
from harness.analysis.claims.trend import settle_trend
from harness.analysis.contrasts import Named
from harness.analysis.results import SettledClaim
from harness.analysis.trial_table import IncomparableError
from harness.config import canonical_json
from harness.study.arms import named_arm, named_condition
from harness.study.claim import (
    Claim,
    DivergesClaim,
    FormulaClaim,
    HoldsClaim,
    MetricClaim,
    MostSensitiveClaim,
    ReachesClaim,
    TrendClaim,
)
from harness.study.claim_targets import alone_in_its_family
from harness.study.loaded import LoadedStudy


def named_contrasts(loaded: LoadedStudy) -> list[Named]:
    """Every contrast that a claim on one arm is about: each such claim is a family of its own."""
    return [
        (
            claim.metric or loaded.study.primary,
            named_arm(loaded.arms, claim.arms[0]).name,
            canonical_json(named_condition(loaded.conditions, claim.at).names),
        )
        for claim in loaded.study.claims.values()
        if isinstance(claim, MetricClaim) and alone_in_its_family(claim)
    ]


def settle_claims(evidence: Evidence) -> tuple[SettledClaim, ...]:
    """Every claim of the study with its verdict, effect, interval and a sentence."""
    settled = []
    for name, claim in evidence.loaded.study.claims.items():
        try:
            finding = _settle(claim, evidence)
        except IncomparableError as problem:
            sentence = f"The data do not allow a comparison: {problem}."
            finding = Finding(verdict="invalid", sentence=sentence)
        settled.append(SettledClaim(id=name, source=claim.source, says=claim.says, **vars(finding)))
    return tuple(settled)


def _settle(claim: Claim, evidence: Evidence) -> Finding:
    if isinstance(claim, HoldsClaim):
        return _as_declared(settle_holds(claim, evidence), claim)
    if isinstance(claim, FormulaClaim):
        return _as_declared(settle_formula(claim, evidence), claim)
    if isinstance(claim, MostSensitiveClaim):
        return settle_most_sensitive(claim, evidence)
    if isinstance(claim, TrendClaim):
        return settle_trend(claim, evidence)
    if isinstance(claim, ReachesClaim):
        return settle_reaches(claim, evidence)
    if isinstance(claim, DivergesClaim):
        return settle_diverges(claim, evidence)
    return settle_comparison(claim, evidence)


def _as_declared(finding: Finding, claim: Claim) -> Finding:
    """An exact claim that was declared exploratory: what was found is told, no verdict given."""
    if claim.exploratory is None or finding.verdict == "invalid":
        return finding
    sentence = (
        f"{finding.sentence.removesuffix('.')}; exploratory ({claim.exploratory}), so there is no verdict."
    )
    return replace(finding, verdict="undecided", sentence=sentence)

"""The claims: what each source says, what was measured, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.results import SettledClaim
from harness.report.inputs import ReportInput
from harness.report.labels import Badge, badge, condition_key
from harness.report.sections.pairs import pair_anchors
from harness.study.sources import citation


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """`source` is the citation with the title of the document. `pairs` is the anchor of the pairs behind the
    effect, if the claim is about a single contrast.
    """

    anchor: str
    badge: Badge
    source: str
    pairs: str
    claim: SettledClaim


def claims_view(report: ReportInput) -> tuple[ClaimView, ...]:
    anchors = pair_anchors(report)
    return tuple(
        ClaimView(
            anchor=report.anchor("claim", number, claim.id),
            badge=badge(claim.verdict),
            source=citation(claim.source),
            pairs=anchors.get(_contrast_of(report, claim.id), ""),
            claim=claim,
        )
        for number, claim in enumerate(report.analysis.claims, start=1)
    )


def _contrast_of(report: ReportInput, claim: str) -> tuple[str, str, str]:
    """The metric, arm and condition of the only contrast that a claim is about, or empty texts."""
    loaded, declared = report.loaded, report.loaded.study.claims.get(claim)
    named = declared and declared.named_contrast(loaded.study.primary, loaded.arms, loaded.conditions)
    return (named.metric, named.arm.name, condition_key(named.condition)) if named else ("", "", "")

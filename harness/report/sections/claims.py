"""The claims: what each source says, what was measured, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.results import SettledClaim
from harness.report.inputs import ReportInput
from harness.report.labels import Badge, badge
from harness.study.sources import citation


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """`source` is the citation with the title of the document."""

    anchor: str
    badge: Badge
    source: str
    claim: SettledClaim


def claims_view(report: ReportInput) -> tuple[ClaimView, ...]:
    return tuple(
        ClaimView(
            anchor=report.anchor("claim", number, claim.id),
            badge=badge(claim.verdict),
            source=citation(claim.source),
            claim=claim,
        )
        for number, claim in enumerate(report.analysis.claims, start=1)
    )

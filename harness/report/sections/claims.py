"""Claims: what a source says, and what became of it here."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.results import SettledClaim
from harness.report.inputs import ReportInput
from harness.report.labels import Badge, badge
from harness.report.sections.base import Section


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    anchor: str
    badge: Badge
    claim: SettledClaim


def claims_view(report: ReportInput) -> tuple[ClaimView, ...]:
    return tuple(
        ClaimView(anchor=report.anchor("claim", place, claim.id), badge=badge(claim.verdict), claim=claim)
        for place, claim in enumerate(report.analysis.claims, start=1)
    )


SECTION = Section(id="claims", title="Claims", view=claims_view)

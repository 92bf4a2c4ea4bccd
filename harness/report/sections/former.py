"""Former runs: what earlier judgements said about each claim."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.inputs import ReportInput
from harness.wording import count

MOST_VERDICTS = 100
"""The largest number of earlier verdicts that are listed for a claim: the newest ones."""


@dataclass(frozen=True, kw_only=True)
class FormerVerdict:
    """One earlier judgement. `notes` say what was different and what the judgement counts for."""

    date: str
    run: str
    scale: str
    verdict: str
    effect: str
    interval: str
    notes: str


@dataclass(frozen=True, kw_only=True)
class FormerClaim:
    """The earlier verdicts on a claim, of which `rows` are the newest. `now` is what this report says, or
    empty if the study no longer states the claim.
    """

    claim: str
    now: str
    rows: tuple[FormerVerdict, ...]
    total: int


@dataclass(frozen=True, kw_only=True)
class FormerView:
    claims: tuple[FormerClaim, ...]


def summary(view: FormerView) -> str:
    """The numbers of verdicts and runs."""
    verdicts = sum(claim.total for claim in view.claims)
    return f"{count(verdicts, 'earlier verdict')} on {count(len(view.claims), 'claim')}"


def former_view(report: ReportInput) -> FormerView | None:
    """None if no claim was judged before."""
    earlier = report.history.earlier
    if not earlier:
        return None
    now = {claim.id: claim.verdict for claim in report.analysis.claims}
    return FormerView(
        claims=tuple(
            FormerClaim(
                claim=name,
                now="" if name in report.history.dropped else now.get(name, "not judged"),
                rows=tuple(
                    FormerVerdict(
                        date=one.date[:16].replace("T", " "),
                        run=one.run,
                        scale=one.scale,
                        verdict=one.verdict,
                        effect=one.effect,
                        interval=one.interval,
                        notes="; ".join(
                            [
                                *one.differs,
                                *(["declared after the data"] if one.late else []),
                                *(["decides the claim"] if one.decides else []),
                                *([] if one.look else ["the same values"]),
                            ]
                        ),
                    )
                    for one in verdicts[-MOST_VERDICTS:]
                ),
                total=len(verdicts),
            )
            for name, verdicts in earlier.items()
        ),
    )

"""Which verdict on a claim stands: a claim that was declared after the data is not decided, and a claim that
an earlier run decided keeps that verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.analysis.results import Contrast, SettledClaim
from harness.store.rows import DeclaredClaim, JudgedClaim

LATE = "declared after the data"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """When a claim was declared and which run decides it: `late` is its first appearance if that was after
    the data, and `decided` is the judgement of an earlier run that decides it.
    """

    late: DeclaredClaim | None = None
    decided: JudgedClaim | None = None


@dataclass(frozen=True, kw_only=True)
class Standings:
    """The standing of each claim by its id, and the metrics whose margin was declared after the data."""

    claims: Mapping[str, Standing] = field(default_factory=dict)
    late_margins: frozenset[str] = frozenset()


NO_STANDINGS = Standings()


def without_late_margins(contrasts: tuple[Contrast, ...], late: frozenset[str]) -> tuple[Contrast, ...]:
    """The contrasts, undecided where their verdict rests on a margin that was declared after the data."""
    return tuple(
        replace(contrast, verdict="undecided", relevant=False, reason=f"the margin was {LATE}")
        if contrast.metric in late and contrast.verdict in ("better", "worse", "equivalent")
        else contrast
        for contrast in contrasts
    )


def with_standing(
    claims: tuple[SettledClaim, ...], standings: Mapping[str, Standing]
) -> tuple[SettledClaim, ...]:
    """The claims with the verdicts that stand. Their effects and intervals stay those of this run."""
    return tuple(_with_standing(claim, standings.get(claim.id, Standing())) for claim in claims)


def _with_standing(claim: SettledClaim, standing: Standing) -> SettledClaim:
    if claim.verdict == "invalid":
        return claim
    if standing.late is not None:
        when = standing.late.declared_at[:10]
        return replace(
            claim,
            verdict="undecided",
            alone=claim.verdict,
            late=True,
            sentence=f"Declared after the data ({when}), so this run cannot decide it, but the next "
            f"`--fresh` run can. Otherwise it would be {claim.verdict}. {claim.sentence}",
            basis=claim.basis and {**claim.basis, "open": LATE},
        )
    if standing.decided is not None:
        first = standing.decided
        agrees = "agrees" if first.alone == claim.verdict else "does not agree"
        return replace(
            claim,
            verdict=first.alone,  # type: ignore[arg-type]
            alone=claim.verdict,
            sentence=f"Run {first.run_id} decided this claim on {first.judged_at[:10]}: {first.alone}, "
            f"{first.effect} ({first.interval}). This run is a replication and {agrees}: its data alone say "
            f"{claim.verdict}. {claim.sentence}",
            basis=claim.basis and {**claim.basis, "decided_by": first.run_id},
        )
    return claim

"""From evidence to the verdict of each claim. Each form of claim is settled by the class in the file that
bears its name, and the rule that decides it stands beside that class.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from harness.analysis.claims.families import claim_levels, family_members, same_tests
from harness.analysis.claims.settlement import Evidence, Settlement
from harness.analysis.contrasts import Named
from harness.analysis.results import ALPHA, SettledClaim
from harness.config import canonical_json
from harness.study.claims import FORMS
from harness.study.loaded import LoadedStudy


def _settlement(form: str) -> type[Settlement[Any]]:
    module = import_module(f"{__name__}.{form}")
    return next(
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Settlement)
        and member.__module__ == module.__name__
    )


SETTLEMENTS: dict[str, type[Settlement[Any]]] = {form: _settlement(form) for form in FORMS}
"""The class that settles each form of claim."""


def settle_claims(evidence: Evidence) -> tuple[SettledClaim, ...]:
    """Every claim of the study with its verdict, effect, interval and a sentence."""
    claims = evidence.loaded.study.claims.items()
    settlements = {name: SETTLEMENTS[claim.form()](name, claim, evidence) for name, claim in claims}
    members = family_members(settlements)
    levels, same = claim_levels(members), same_tests(members)
    return tuple(
        _settled(settlement, levels.get(name, ALPHA), same.get(name, []))
        for name, settlement in settlements.items()
    )


def _settled(settlement: Settlement[Any], alpha: float, same: list[str]) -> SettledClaim:
    at_level = settlement if alpha == settlement.alpha else replace(settlement, alpha=alpha)
    settled = at_level.settled()
    if not same:
        return settled
    verb = "rests" if len(same) == 1 else "rest"
    note = f"{' and '.join(same)} {verb} on exactly the same values, so they are one test."
    return replace(settled, sentence=f"{settled.sentence} {note}")


def named_contrasts(loaded: LoadedStudy) -> list[Named]:
    """Every contrast that a claim on one arm is about: on each metric they are one family."""
    contrasts = (
        claim.named_contrast(loaded.study.primary, loaded.arms, loaded.conditions)
        for claim in loaded.study.claims.values()
    )
    return [
        (contrast.metric, contrast.arm.name, canonical_json(contrast.condition.names))
        for contrast in contrasts
        if contrast is not None
    ]

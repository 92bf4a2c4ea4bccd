"""From evidence to the verdict of each claim. Each form of claim is settled by the class in the file that
bears its name, and the rule that decides it stands beside that class.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

from harness.analysis.claims.families import claim_levels, family_members, same_tests
from harness.analysis.claims.settlement import Evidence, Settlement
from harness.analysis.contrasts import Named
from harness.analysis.results import ALPHA, SettledClaim
from harness.config import canonical_json
from harness.errors import InputError
from harness.study.claims.base import Claim
from harness.study.loaded import LoadedStudy


@cache
def settlement(form: type[Claim]) -> type[Settlement[Any]]:
    """The class that settles a form of claim.

    Raises InputError if the plug-in of the form does not have the class that it names.
    """
    if form.settled_by:
        return _settlement_of_plugin(form)
    module = import_module(f"{__name__}.{form.form()}")
    return next(
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Settlement)
        and member.__module__ == module.__name__
    )


def _settlement_of_plugin(form: type[Claim]) -> type[Settlement[Any]]:
    try:
        settles = resolve_name(form.settled_by)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"the plug-in's claim {form.form()!r} names {form.settled_by}, which does not exist: {error}"
        ) from None
    if not isinstance(settles, type) or not issubclass(settles, Settlement):
        raise InputError(f"{form.settled_by}, which settles {form.form()!r}, is not a subclass of Settlement")
    return settles


def settle_claims(evidence: Evidence) -> tuple[SettledClaim, ...]:
    """Every claim of the study with its verdict, effect, interval and a sentence."""
    claims = evidence.loaded.study.claims.items()
    settlements = {name: settlement(type(claim))(name, claim, evidence) for name, claim in claims}
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

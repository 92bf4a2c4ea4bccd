"""The families in which claims are corrected for multiple testing: part × metric × form of claim.

A family has one member for each distinct contrast, however many claims name it. A claim on all of several
arms is one member. The p of a member is the smaller one of "confirmed" and "refuted", and Holm's procedure
gives each member the level at which its verdict is decided and its interval is printed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.analysis.claims.settlement import Settlement
from harness.analysis.results import ALPHA
from harness.analysis.trial_table import IncomparableError
from harness.statistics import holm_levels
from harness.study.claims.base import Tested

Family = tuple[str, str]
"""A metric and a form of claim."""


@dataclass(frozen=True, kw_only=True)
class FamilyMember:
    """What a claim tests, the p of its verdict, and the values behind it; a claim without values has p 1."""

    tested: Tested
    p: float
    values: tuple[Hashable, ...]


def family_members(settlements: Mapping[str, Settlement[Any]]) -> dict[str, FamilyMember]:
    """The member of each claim that needs statistics, by the claim's name."""
    members = {}
    for name, settlement in settlements.items():
        loaded = settlement.loaded
        tested = settlement.claim.tested(loaded.study, loaded.arms, loaded.conditions)
        if tested is not None:
            members[name] = _member(settlement, tested)
    return members


def _member(settlement: Settlement[Any], tested: Tested) -> FamilyMember:
    """A claim that is invalid stays in its family, so that a lost row never makes it smaller."""
    try:
        basis = None if settlement.doubts else settlement.basis
    except IncomparableError:
        basis = None
    if basis is None:
        return FamilyMember(tested=tested, p=1.0, values=())
    values = tuple(member.pairs for member in basis.members if any(value for _, value in member.pairs))
    return FamilyMember(tested=tested, p=min(basis.tests), values=values)


def claim_levels(members: Mapping[str, FamilyMember]) -> dict[str, float]:
    """The level at which each claim is tested."""
    families: dict[Family, dict[Hashable, float]] = {}
    for member in members.values():
        contrasts = families.setdefault(member.tested.family, {})
        contrasts[member.tested.contrast] = min(member.p, contrasts.get(member.tested.contrast, 1.0))
    levels: dict[tuple[Family, Hashable], float] = {}
    for family, contrasts in families.items():
        keys = list(contrasts)
        tested_at = holm_levels({str(index): contrasts[key] for index, key in enumerate(keys)}, alpha=ALPHA)
        levels |= {(family, keys[int(index)]): level for index, level in tested_at.items()}
    return {name: levels[member.tested.family, member.tested.contrast] for name, member in members.items()}


def same_tests(members: Mapping[str, FamilyMember]) -> dict[str, list[str]]:
    """For each claim, the others of its family that rest on exactly the same values although they name other
    arms: they are one test.
    """
    return {
        name: [
            other
            for other, rival in members.items()
            if other != name
            and rival.tested.family == member.tested.family
            and rival.tested.contrast != member.tested.contrast
            and rival.values == member.values != ()
        ]
        for name, member in members.items()
    }

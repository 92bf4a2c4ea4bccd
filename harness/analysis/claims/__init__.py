"""From evidence to the verdict of each claim. Each form of claim is settled by the class in the file that
bears its name, and the rule that decides it stands beside that class.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from harness.analysis.claims.settlement import Evidence, Settlement
from harness.analysis.contrasts import Named
from harness.analysis.results import SettledClaim
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
    return tuple(SETTLEMENTS[claim.form()](name, claim, evidence).settled() for name, claim in claims)


def named_contrasts(loaded: LoadedStudy) -> list[Named]:
    """Every contrast that a claim on one arm is about: each such claim is a family of its own."""
    contrasts = (
        claim.named_contrast(loaded.study.primary, loaded.arms, loaded.conditions)
        for claim in loaded.study.claims.values()
    )
    return [
        (contrast.metric, contrast.arm.name, canonical_json(contrast.condition.names))
        for contrast in contrasts
        if contrast is not None
    ]

"""Claims: what a source says, in a form that can come out wrong. The key that states it tells the forms apart."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from harness.config import Config

FORMS = ("ratio", "trend", "holds", "formula")

Scalar = bool | int | float | str | None
Levels = Annotated[dict[str, Scalar], Field(min_length=1)]
"""Factor → level, as the study writes the level (`{cache: dynamic}`)."""


class _Claim(Config):
    source: str
    """Document and section, `001 §5`."""

    says: str
    """The claim in a sentence of our own."""


class RatioClaim(_Claim):
    """`metric` of the arm over the baseline's equals `ratio`, within a factor `within` (a figure from another machine)."""

    level: Levels
    at: dict[str, Scalar] = Field(default_factory=dict)
    ratio: float = Field(gt=0.0, allow_inf_nan=False)
    within: float = Field(default=1.25, gt=1.0, allow_inf_nan=False)
    metric: str | None = None


class TrendClaim(_Claim):
    """The arm's ratio to the baseline grows (or falls) with log2 of the condition `over`, which has at least 3 numeric levels."""

    level: Levels
    trend: Literal["increasing", "decreasing"]
    over: str
    metric: str | None = None


class HoldsClaim(_Claim):
    """An invariant holds for every arm, on the study's own model and inputs."""

    holds: str


class FormulaClaim(_Claim):
    """`metric` equals the closed form `formula`, another metric of the same trials, under every condition and for every arm."""

    formula: str
    metric: str
    also_holds: str | None = None
    """An invariant of the study that checks the formula beyond the study's conditions."""


def _form(document: Any) -> str | None:
    if isinstance(document, dict):
        present = [form for form in FORMS if form in document]
        return present[0] if len(present) == 1 else None
    return next((form for form in FORMS if hasattr(document, form)), None)


Claim = Annotated[
    Annotated[RatioClaim, Tag("ratio")]
    | Annotated[TrendClaim, Tag("trend")]
    | Annotated[HoldsClaim, Tag("holds")]
    | Annotated[FormulaClaim, Tag("formula")],
    Discriminator(
        _form,
        custom_error_type="claim_form",
        custom_error_message="a claim states exactly one of: ratio, trend, holds, formula",
    ),
]

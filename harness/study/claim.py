"""Claims: what a source says, in a form that can come out wrong. The key that states it tells the forms
apart.

| key | the claim | harness.analysis |
|---|---|---|
| `ratio: X` | the metric over the other arm's is X, within a factor | `comparing` |
| `at_least: X`, `at_most: X` | that ratio is at least, at most X | `comparing` |
| `direction: better` | better, worse, higher or lower than the other arm | `comparing` |
| `no_difference: true` | the same, or within the margin | `comparing` |
| `trend: increasing` | the ratio grows with a condition | `trends` |
| `reaches: X` | it gets to a loss of X sooner (or later) | `outcomes` |
| `diverges: less` | fewer (or more) of its seeds diverge | `outcomes` |
| `most_sensitive: F` | factor F is among the most sensitive ones | `sensitive` |
| `holds: I` | an invariant holds | `exact_claims` |
| `formula: M` | a metric follows its closed form | `exact_claims` |
"""

from __future__ import annotations

import math
import operator
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from harness.config import FROM_LIST, Config
from harness.study.schema import Scalar

Levels = Annotated[dict[str, Scalar], Field(min_length=1)]
"""Factor → level, as the study writes the level (`{cache: dynamic}`)."""

Several = Annotated[tuple[Levels, ...], Field(min_length=2), FROM_LIST]


class _Claim(Config):
    source: str
    """Document and section, `001 §5`."""

    says: str
    """The claim in a sentence of our own."""

    exploratory: str | None = Field(default=None, min_length=1, exclude_if=operator.not_)
    """Why this design cannot decide it, said before the data: the effect is shown, the verdict stays open."""


class Comparing(_Claim):
    """An arm, or several, against another: the baseline, unless `against` names one.

    Of several, `all_of` claims it of each; `any_of` of at least one, which takes Holm's correction.
    """

    level: Levels | None = Field(default=None, exclude_if=operator.not_)
    all_of: Several | None = Field(default=None, exclude_if=operator.not_)
    any_of: Several | None = Field(default=None, exclude_if=operator.not_)
    against: dict[str, Scalar] = Field(default_factory=dict, exclude_if=operator.not_)

    @model_validator(mode="after")
    def _one_way_to_name_arms(self) -> Self:
        given = [key for key in ("level", "all_of", "any_of") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a claim names its arm by exactly one of level, all_of, any_of; found {' and '.join(given) or 'none'}"
            )
        return self

    @property
    def arms(self) -> tuple[dict[str, Scalar], ...]:
        """The levels of each arm that the claim is about."""
        return self.all_of or self.any_of or ((self.level or {}),)


class ComparingAt(Comparing):
    """Under one condition."""

    at: dict[str, Scalar] = Field(default_factory=dict)


class MetricClaim(ComparingAt):
    """On one metric, by default the primary."""

    metric: str | None = None


class RatioClaim(MetricClaim):
    """`metric` of the arm over the other's equals `ratio`, within a factor `within` (a figure from another
    machine).

    The region must lie on one side of 1, unless it is 1 that is claimed.
    """

    ratio: float = Field(gt=0.0, allow_inf_nan=False)
    within: float = Field(default=1.25, gt=1.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _claims_a_difference(self) -> Self:
        """A claimed change must not be confirmed by no change at all."""
        low, high = self.region
        if self.ratio != 1.0 and low <= 1.0 <= high:
            most = max(self.ratio, 1.0 / self.ratio)
            raise ValueError(
                f"the region {low:.3g} to {high:.3g} of a claimed {self.ratio:g} holds 1, so no difference would confirm it; "
                f"give a `within` below {most:.3g}"
            )
        return self

    @property
    def region(self) -> tuple[float, float]:
        return self.ratio / self.within, self.ratio * self.within


class AtLeastClaim(MetricClaim):
    """`metric` of the arm is at least `at_least` times the other's."""

    at_least: float = Field(gt=0.0, allow_inf_nan=False)


class AtMostClaim(MetricClaim):
    """`metric` of the arm is at most `at_most` times the other's."""

    at_most: float = Field(gt=0.0, allow_inf_nan=False)


class DirectionClaim(MetricClaim):
    """`metric` of the arm is on one side of the other's by more than can be ignored."""

    direction: Literal["better", "worse", "higher", "lower"]


class NoDifferenceClaim(MetricClaim):
    """`metric` of the arm is the other's, within the margin that the study declares for it."""

    no_difference: Literal[True]


class TrendClaim(Comparing):
    """The arm's ratio grows (or falls) with log2 of the condition `over`, which has at least 3 numeric
    levels.
    """

    trend: Literal["increasing", "decreasing"]
    over: str
    metric: str | None = None


class ReachesClaim(ComparingAt):
    """The arm gets to a loss of `reaches` sooner, counted in updates or in seconds of training; a miss takes
    for ever.

    `smoothed` updates are averaged before they are compared with the target. Which target is declared before
    the data: `tuned` is `target_factor` times what the baseline came to in tuning, at its best settings.
    """

    reaches: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | Literal["tuned"]
    target_factor: float = Field(
        default=1.0, gt=0.0, allow_inf_nan=False, exclude_if=partial(operator.eq, 1.0)
    )
    when: Literal["sooner", "later"] = "sooner"
    counted_in: Literal["updates", "seconds"] = "updates"
    metric: str = "loss"
    smoothed: int = Field(default=10, gt=0)

    @model_validator(mode="after")
    def _factor_of_what_is_tuned(self) -> Self:
        if self.target_factor != 1.0 and self.reaches != "tuned":
            raise ValueError(
                "target_factor goes with `reaches: tuned`; a target that is given is given whole"
            )
        return self

    @property
    def target(self) -> float:
        """The loss to reach; NaN while tuning has not found it."""
        return math.nan if self.reaches == "tuned" else self.reaches


class DivergesClaim(ComparingAt):
    """Divergence itself is the outcome: the arm diverges on fewer (or more) seeds, pairs of seeds by
    McNemar's exact test.
    """

    diverges: Literal["less", "more"]


class MostSensitiveClaim(_Claim):
    """The factor is among the ⌈K / 3⌉ most sensitive of K ≥ 5, each at its default, that divided by `by`, and
    that times `by`.

    A factor's sensitivity is, a seed, the worst rise of the log of `metric` over the baseline's at its two
    other levels.
    """

    most_sensitive: str
    among: Annotated[tuple[str, ...], Field(min_length=5), FROM_LIST]
    by: float = Field(gt=1.0, allow_inf_nan=False)
    at: dict[str, Scalar] = Field(default_factory=dict)
    metric: str | None = None


class HoldsClaim(_Claim):
    """An invariant holds for every arm, on the study's own model and inputs."""

    holds: str


class FormulaClaim(_Claim):
    """`metric` equals the closed form `formula`, another metric of the same trials, under every condition and
    for every arm.
    """

    formula: str
    metric: str
    also_holds: str | None = None
    """An invariant of the study that checks the formula beyond the study's conditions."""


FORMS = (
    "ratio",
    "at_least",
    "at_most",
    "direction",
    "no_difference",
    "trend",
    "reaches",
    "diverges",
    "most_sensitive",
    "holds",
    "formula",
)


def _form(document: Any) -> str | None:
    if isinstance(document, dict):
        present = [form for form in FORMS if form in document]
        return present[0] if len(present) == 1 else None
    return next((form for form in FORMS if hasattr(document, form)), None)


Claim = Annotated[
    Annotated[RatioClaim, Tag("ratio")]
    | Annotated[AtLeastClaim, Tag("at_least")]
    | Annotated[AtMostClaim, Tag("at_most")]
    | Annotated[DirectionClaim, Tag("direction")]
    | Annotated[NoDifferenceClaim, Tag("no_difference")]
    | Annotated[TrendClaim, Tag("trend")]
    | Annotated[ReachesClaim, Tag("reaches")]
    | Annotated[DivergesClaim, Tag("diverges")]
    | Annotated[MostSensitiveClaim, Tag("most_sensitive")]
    | Annotated[HoldsClaim, Tag("holds")]
    | Annotated[FormulaClaim, Tag("formula")],
    Discriminator(
        _form,
        custom_error_type="claim_form",
        custom_error_message=f"a claim states exactly one of: {', '.join(FORMS)}",
    ),
]

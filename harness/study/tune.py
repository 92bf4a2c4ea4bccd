"""What a study says about tuning: the best settings of each arm are found before it is measured."""

from __future__ import annotations

import math
import operator
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from harness.config import Config
from harness.study.levels import Scalar
from harness.study.search import GaussianProcess, Parameter, RandomDraws, Tpe


class Around(Config):
    """`count` values around the value of each arm, which is the middle one. Each is `factor` times the one
    before.
    """

    factor: float = Field(gt=1.0, allow_inf_nan=False)
    """Each value is this many times the value before it."""

    count: int = Field(ge=3, le=99)
    """The number of values. The value of the arm itself is the middle one."""


class Near(Config):
    """The range from the value of each arm divided by `factor` to the value times `factor`, in which equal
    ratios are equally likely.
    """

    factor: float = Field(gt=1.0, allow_inf_nan=False)
    """The range goes from the value of the arm divided by this number to the value times this number."""


def _kind_of_range(written: Any) -> str:
    """Which class reads a parameter, so that a mistake in it is reported once."""
    return (
        "near"
        if isinstance(written, Near) or (isinstance(written, dict) and "factor" in written)
        else "range"
    )


RangeOrNear = Annotated[
    Annotated[Parameter, Tag("range")] | Annotated[Near, Tag("near")], Discriminator(_kind_of_range)
]


class TuneSearch(Config):
    """Each arm gets `points` points of a space, which is its own where ranges are near its own value. The
    first point is the arm as the study declares it, and `sampler` chooses each of the others by the results
    of those before.
    """

    space: dict[str, RangeOrNear] = Field(min_length=1)
    """The settings to tune, by their paths, with the values that they may have."""

    points: int = Field(ge=2, le=1000)
    """The number of points that each arm gets. The first one is the arm as the study declares it."""

    sampler: Annotated[Tpe | GaussianProcess | RandomDraws, Field(discriminator="kind")] = Tpe(random=3)
    """How each point is chosen by the results of the points before it."""

    seed: int = Field(default=0, ge=0)
    """The seed of the random choices of the sampler."""


class Tune(Config):
    """Each arm gets the settings that are best for it under each condition before it is measured. The trials
    of tuning decide nothing else.

    `grid` names settings by their paths, with the values to try: a list, or values around the value of each
    arm. Every combination is tried. With `search` the values are chosen one after the other instead. Either
    way every arm has the same number of candidates. The one with the best median of the metric `by` over
    `seeds` is chosen. `finalists` is the number of arms that are measured: the baseline, the arms that claims
    name, and the best of the others.
    """

    grid: dict[str, Annotated[list[Scalar], Field(min_length=2)] | Around] | None = Field(
        default=None, min_length=1
    )
    """The settings to tune, by their paths, with the values to try. Every combination is tried."""

    search: TuneSearch | None = Field(default=None, exclude_if=operator.not_)
    """Chooses the values to try one after the other, instead of a grid."""

    seeds: int = Field(default=1, gt=0, le=1000)
    """The number of seeds with which each candidate is trained."""

    by: str = "validation_loss"
    """The metric whose median over the seeds decides which candidate is the best."""

    finalists: int | None = Field(default=None, ge=2)
    """The number of arms that are measured after tuning. All arms are measured without it."""

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if (self.grid is None) == (self.search is None):
            raise ValueError("tuning needs either `grid` or `search`")
        return self

    @property
    def grid_size(self) -> int:
        """The number of candidates of an arm in the grid. 0 without a grid."""
        if self.grid is None:
            return 0
        return math.prod(
            wanted.count if isinstance(wanted, Around) else len(wanted) for wanted in self.grid.values()
        )

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that are tuned, by their paths."""
        return tuple(self.grid or (self.search.space if self.search else ()))

"""The form `value`: a metric of an arm is beyond a figure, without a comparison with another arm."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from harness.config import Config
from harness.study.checks.checker import StudyChecker
from harness.study.claims.arms import ArmsClaim
from harness.study.levels import Scalar
from harness.study.reading.yaml_document import KeyPath


class Limit(Config):
    """One of `at_least` and `at_most`, in the unit of the metric."""

    at_least: float | None = Field(default=None, allow_inf_nan=False)
    """The value is not below this number."""

    at_most: float | None = Field(default=None, allow_inf_nan=False)
    """The value is not above this number."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a value has exactly one of at_least and at_most")
        return self

    @property
    def key(self) -> str:
        return "at_least" if self.at_most is None else "at_most"

    @property
    def figure(self) -> float:
        return getattr(self, self.key)  # type: ignore[no-any-return]

    @property
    def side(self) -> int:
        """1 if the value must lie above the figure, −1 if below."""
        return 1 if self.at_most is None else -1


class ValueClaim(ArmsClaim):
    """`metric` of the arm itself is at least, or at most, a figure. The seeds are the sample; a metric that
    is counted exactly needs only one value.

    A timing cannot be claimed so: the rounds of one machine are not independent of each other.
    """

    value: Limit
    """The limit that the value of the arm itself keeps."""

    at: dict[str, Scalar] = Field(default_factory=dict)
    """The condition under which the claim holds, by its levels."""

    metric: str | None = None
    """The metric whose value is claimed. Default: the primary metric."""

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        name = path[-1]
        self.check_arms(checker, path)
        checker.check_condition(path, self.at)
        record = checker.check_metric((*path, "metric"), self.metric or checker.study.primary, directed=False)
        if record.exact:
            return
        if record.paired_over == "rounds":
            checker.fail(
                (*path, "metric"),
                f"{name}: the rounds of one machine are not independent, so they cannot decide the value of "
                f"{record.name} itself",
                hint="compare the arm with another arm, for example by `ratio` or `at_least`",
                value=True,
            )
        if record.compared_by == "ratios" and self.value.figure <= 0:
            checker.fail(
                (*path, "value", self.value.key),
                f"{name}: {record.name} is always positive, so the figure must be greater than 0",
                value=True,
            )
        if self.is_decided_by(checker):
            checker.check_pairs("seeds", self.family_size, str(name))

"""The form `most_sensitive`: a factor is among the most sensitive ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from harness.config import FROM_LIST
from harness.study.arms import Combination, find_arm, named_condition
from harness.study.checks.checker import StudyChecker
from harness.study.claims.base import Claim, Tested
from harness.study.levels import Level, Scalar, level_name, level_settings
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import StudyBase


class MostSensitiveClaim(Claim):
    """The factor is among the ⌈K / 3⌉ most sensitive of K ≥ 5 factors. Each factor has its default, the
    default divided by `by`, and the default times `by`.

    The sensitivity of a factor is, for each seed, the worst rise of the log of `metric` over the baseline's
    at its two other levels.
    """

    most_sensitive: str
    """The factor to which the metric is among the most sensitive."""

    among: Annotated[tuple[str, ...], Field(min_length=5), FROM_LIST]
    """The factors with which it is compared. At least five, this factor included."""

    by: float = Field(gt=1.0, allow_inf_nan=False)
    """Each factor is divided by this number and multiplied by it."""

    at: dict[str, Scalar] = Field(default_factory=dict)
    """The condition under which the claim holds, by its levels."""

    metric: str | None = None
    """The loss that is compared. Default: the primary metric."""

    def required_arms(self, arms: Sequence[Combination]) -> Iterable[Combination]:
        baseline = arms[0].names
        return (arm for arm in arms if any(arm.names[f] != baseline[f] for f in self.among))

    def compared_arms(self, arms: Sequence[Combination]) -> tuple[Combination, ...]:
        return (arms[0], *self.required_arms(arms))

    def sides(self, arms: Sequence[Combination]) -> tuple[tuple[Combination, ...], ...]:
        return tuple(self.required_arms(arms)), (arms[0],)

    def tested(
        self, study: StudyBase, arms: Sequence[Combination], conditions: Sequence[Combination]
    ) -> Tested | None:
        if not self.is_decided_in(study):
            return None
        where = named_condition(conditions, self.at).name
        contrast = (self.most_sensitive, frozenset(self.among), where)
        return Tested((self.metric or study.primary, self.form()), contrast, len(self.among) - 1, "seeds")

    def factor_arms(
        self, factor: str, compare: Mapping[str, Sequence[Level]], arms: Sequence[Combination]
    ) -> tuple[Combination, Combination] | None:
        """The arms in which the factor is at its default divided by `by` and times `by`, if both exist."""
        numbers = {level_name(level): _number(factor, level) for level in compare[factor]}
        default = numbers[level_name(compare[factor][0])]
        if default is None or default <= 0:
            return None
        low, high = (
            _arm_at(factor, numbers, target, arms) for target in (default / self.by, default * self.by)
        )
        return None if low is None or high is None else (low, high)

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        name, compare = path[-1], checker.study.compare
        record = checker.check_metric((*path, "metric"), self.metric or checker.study.primary)
        if not record.is_loss:
            checker.fail(
                (*path, "metric"),
                f"{name}: `most_sensitive` needs a loss metric, and {record.name} is not one",
                value=True,
            )
        for index, factor in enumerate(self.among):
            at = (*path, "among", index)
            checker.check_known(at, factor, compare, "`compare` has no factor")
            if factor in self.among[:index]:
                checker.fail(at, f"factor {factor!r} is written twice")
            if self.factor_arms(factor, compare, checker.arms) is None:
                checker.fail(
                    at, f"{name} needs arms with {factor} at its default ÷ {self.by:g} and × {self.by:g}"
                )
        checker.check_known(
            (*path, "most_sensitive"), self.most_sensitive, self.among, "`among` has no factor"
        )
        checker.check_condition(path, self.at)
        if self.is_decided_by(checker):
            checker.check_pairs("seeds", len(self.among) - 1, str(name))


def _arm_at(
    factor: str, numbers: Mapping[str, float | None], target: float, arms: Sequence[Combination]
) -> Combination | None:
    """The arm whose level of the factor is the number `target`."""
    for name, number in numbers.items():
        if number is not None and abs(number - target) <= 1e-6 * target:
            return find_arm(arms, {factor: name})
    return None


def _number(factor: str, level: Level) -> float | None:
    """The number of a level: its value, or the value of its only setting."""
    settings = list(level_settings(factor, level).values())
    if len(settings) != 1 or isinstance(settings[0], bool) or not isinstance(settings[0], int | float):
        return None
    return float(settings[0])

"""What claims about arms share: how they name an arm or several arms, and with what they compare them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from harness.config import FROM_LIST
from harness.metrics import Metric, PairedOver, metric
from harness.study.arms import Combination, named_arm, named_condition
from harness.study.checks.checker import StudyChecker
from harness.study.claims.base import Claim, NamedContrast, Tested
from harness.study.levels import Scalar
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import StudyBase

Levels = Annotated[dict[str, Scalar], Field(min_length=1)]
"""Factor → level, as the study writes the level (`{cache: dynamic}`)."""

Several = Annotated[tuple[Levels, ...], Field(min_length=2), FROM_LIST]


class ArmsClaim(Claim):
    """A claim about one arm (`level`), about each of several arms (`all_of`), or about at least one of
    several arms (`any_of`, with Holm's correction).
    """

    level: Levels | None = Field(default=None, exclude_if=operator.not_)
    """The arm that the claim is about, by its levels: `{cache: dynamic}`."""

    all_of: Several | None = Field(default=None, exclude_if=operator.not_)
    """The claim is about each of these arms."""

    any_of: Several | None = Field(default=None, exclude_if=operator.not_)
    """The claim is about at least one of these arms. The test is corrected for their number."""

    @model_validator(mode="after")
    def _names_arms_in_one_way(self) -> Self:
        keys = [key for key in ("level", "all_of", "any_of") if getattr(self, key) is not None]
        if len(keys) != 1:
            raise ValueError(
                "a claim names its arm by exactly one of level, all_of and any_of; "
                f"this one has {' and '.join(keys) or 'none of them'}"
            )
        return self

    @property
    def arm_levels(self) -> tuple[dict[str, Scalar], ...]:
        """The levels of each arm that the claim is about."""
        return self.all_of or self.any_of or ((self.level or {}),)

    @property
    def family_size(self) -> int:
        """How many comparisons share a correction."""
        return len(self.any_of or (None,))

    def required_arms(self, arms: Sequence[Combination]) -> Iterable[Combination]:
        return [named_arm(arms, levels) for levels in self.arm_levels]

    def tested(
        self, study: StudyBase, arms: Sequence[Combination], conditions: Sequence[Combination]
    ) -> Tested | None:
        name, paired_over, exact = self.tested_metric(study)
        if exact or not self.is_decided_in(study):
            return None
        others = self.compared_with(arms)
        compared = [frozenset((named_arm(arms, levels).name, *others)) for levels in self.arm_levels]
        several = "any" if self.any_of else "all"
        contrast = (frozenset(compared), several if len(compared) > 1 else "", self.tested_where(conditions))
        return Tested((name, self.form()), contrast, self.family_size, paired_over)

    def tested_metric(self, study: StudyBase) -> tuple[str, PairedOver, bool]:
        """The name of what is measured, over what it is paired, and whether it is exact."""
        record = metric(getattr(self, "metric", None) or study.primary)
        return record.name, record.paired_over, record.exact

    def compared_with(self, arms: Sequence[Combination]) -> tuple[str, ...]:
        """The name of the other arm, if there is one."""
        return ()

    def tested_where(self, conditions: Sequence[Combination]) -> str:
        """The condition, or the factor over which the claim looks."""
        over = getattr(self, "over", None)
        return over or named_condition(conditions, getattr(self, "at", {})).name

    def check_arms(self, checker: StudyChecker, path: KeyPath, other: Combination | None = None) -> None:
        """Raises StudyError unless the arms exist and differ from each other and from the `other` arm."""
        seen: set[str] = set()
        for arm_path, levels in self._arm_paths(path):
            arm = checker.arm(arm_path, levels)
            if arm is other:
                message = f"{path[-1]} compares {arm.name} with itself"
                if arm is checker.arms[0]:
                    message += ", because it is the baseline"
                checker.fail(arm_path, message)
            if arm.name in seen:
                checker.fail(arm_path, f"{path[-1]} names {arm.name} twice")
            seen.add(arm.name)

    def _arm_paths(self, path: KeyPath) -> list[tuple[KeyPath, dict[str, Scalar]]]:
        if self.level is not None:
            return [((*path, "level"), self.level)]
        key = "all_of" if self.all_of is not None else "any_of"
        return [((*path, key, index), levels) for index, levels in enumerate(self.arm_levels)]


class Comparison(ArmsClaim):
    """A claim about arms against another arm: the baseline, unless `against` names one."""

    needs_margin: ClassVar[bool] = False
    """Whether the verdict depends on the margin of the metric."""

    against: dict[str, Scalar] = Field(default_factory=dict, exclude_if=operator.not_)
    """The arm to compare with, by its levels. Default: the baseline."""

    def required_arms(self, arms: Sequence[Combination]) -> Iterable[Combination]:
        return [*super().required_arms(arms), named_arm(arms, self.against)]

    def sides(self, arms: Sequence[Combination]) -> tuple[tuple[Combination, ...], ...]:
        return tuple(super().required_arms(arms)), (named_arm(arms, self.against),)

    def compared_with(self, arms: Sequence[Combination]) -> tuple[str, ...]:
        return (named_arm(arms, self.against).name,)

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        other = checker.arm((*path, "against"), self.against) if self.against else checker.arms[0]
        self.check_arms(checker, path, other)
        self.check_condition(checker, path)
        record = self.check_metric(checker, path)
        if self.needs_margin:
            checker.check_margin(path, record)
        if self.is_decided_by(checker):
            checker.check_pairs(record.paired_over, self.family_size, str(path[-1]))

    def check_condition(self, checker: StudyChecker, path: KeyPath) -> None:
        """Raises StudyError unless the claim says under which condition it holds."""
        raise NotImplementedError

    def check_metric(self, checker: StudyChecker, path: KeyPath) -> Metric:
        """What is compared. Raises StudyError unless the claim can be about it."""
        raise NotImplementedError


class ConditionComparison(Comparison):
    """A comparison under one condition."""

    at: dict[str, Scalar] = Field(default_factory=dict)
    """The condition under which the claim holds, by its levels."""

    def check_condition(self, checker: StudyChecker, path: KeyPath) -> None:
        checker.check_condition(path, self.at)


class MetricComparison(ConditionComparison):
    """A comparison on one metric, by default the primary one."""

    needs_ratio: ClassVar[bool] = True

    metric: str | None = None
    """The metric that is compared. Default: the primary metric."""

    def check_metric(self, checker: StudyChecker, path: KeyPath) -> Metric:
        record = checker.check_metric((*path, "metric"), self.metric or checker.study.primary)
        if self.needs_ratio:
            check_has_ratio(checker, path, record)
        return record

    def named_contrast(
        self, primary: str, arms: Sequence[Combination], conditions: Sequence[Combination]
    ) -> NamedContrast | None:
        if self.level is None or self.against or self.exploratory is not None:
            return None
        arm, condition = named_arm(arms, self.level), named_condition(conditions, self.at)
        return NamedContrast(self.metric or primary, arm, condition)


def check_has_ratio(checker: StudyChecker, path: KeyPath, record: Metric) -> None:
    """Raises StudyError unless arms are compared by the ratio of the metric, by rounds or by seeds."""
    hint = "claim a `direction`, or `no_difference: true`"
    if record.compared_by == "differences":
        checker.fail(
            path, f"{path[-1]}: {record.name} is compared by differences, so it has no ratio", hint=hint
        )
    if record.paired_over == "sentences":
        checker.fail(
            path,
            f"{path[-1]}: {record.name} is compared by resampling sentences, which cannot decide a ratio",
            hint=hint,
        )

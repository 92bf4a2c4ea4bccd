"""Which arms and conditions a claim is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.study.arms import Combination
from harness.study.claim import Claim, MetricClaim, Scalar
from harness.study.schema import Level, level_name, level_settings

if TYPE_CHECKING:
    from harness.study.load import LoadedStudy


def find_arm(arms: Sequence[Combination], levels: Mapping[str, Scalar]) -> Combination | None:
    """The arm with these levels, and elsewhere those of the baseline `arms[0]`; None where no arm or no
    single one is meant.

    Factors that the baseline lacks are at their first level, unless they are named. Where no arm is like the
    baseline in all other factors, the only one with these levels is meant.
    """
    wanted = {factor: level_name(level) for factor, level in levels.items()}
    having = [arm for arm in arms if wanted.items() <= arm.names.items()]
    rest = {factor: name for factor, name in arms[0].names.items() if factor not in wanted}
    alike = [arm for arm in having if all(arm.names.get(f, name) == name for f, name in rest.items())]
    if alike:
        return alike[0]
    return having[0] if len(having) == 1 else None


def arm_of(loaded: LoadedStudy, levels: Mapping[str, Scalar]) -> Combination:
    """The same for a study whose claims were checked, so that the arm is there."""
    found = find_arm(loaded.arms, levels)
    assert found is not None
    return found


def condition_of(loaded: LoadedStudy, levels: Mapping[str, Scalar]) -> Combination:
    """The condition with these levels; a factor that has one level need not be named."""
    return next(
        condition
        for condition in loaded.conditions
        if all(condition.names.get(factor) == level_name(level) for factor, level in levels.items())
    )


def alone_in_its_family(claim: Claim) -> bool:
    """Whether a claim is about one contrast with the baseline, which it then takes out of its metric's
    family.
    """
    return (
        isinstance(claim, MetricClaim)
        and claim.level is not None
        and not claim.against
        and claim.exploratory is None
    )


def sensitivity_levels(factor: str, levels: Sequence[Level], by: float) -> tuple[str, str] | None:
    """The names of the levels at the default (the first one) divided by `by` and times `by`; None where one
    is missing.

    A level has a number where it is one, or stands for one setting that is one.
    """
    numbers = {level_name(level): _number(factor, level) for level in levels}
    default = numbers[level_name(levels[0])]
    if default is None or default <= 0:
        return None
    found = [
        next((name for name, number in numbers.items() if number is not None and _near(number, target)), None)
        for target in (default / by, default * by)
    ]
    low, high = found
    return None if low is None or high is None else (low, high)


def _near(number: float, target: float) -> bool:
    return abs(number - target) <= 1e-6 * target


def _number(factor: str, level: Level) -> float | None:
    settings = list(level_settings(factor, level).values())
    if len(settings) != 1 or isinstance(settings[0], bool) or not isinstance(settings[0], int | float):
        return None
    return float(settings[0])

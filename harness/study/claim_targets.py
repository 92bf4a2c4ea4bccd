"""Which arms and conditions a claim is about."""

from __future__ import annotations

from collections.abc import Sequence

from harness.study.claim import Claim, MetricClaim
from harness.study.schema import Level, level_name, level_settings


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

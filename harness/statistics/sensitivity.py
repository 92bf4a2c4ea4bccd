"""Whether one factor is among the most sensitive of several that are all moved by the same ratio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.statistics.design import holm
from harness.statistics.paired import PairedEstimate, Pairs, differences, log_ratios, paired_estimate

FEWEST_FACTORS = 5


@dataclass(frozen=True, slots=True)
class Rival:
    """The rise of the factor minus the rise of this rival, paired by seed, and its p after Holm over all
    rivals.
    """

    difference: PairedEstimate
    p_adjusted: float

    def is_significantly(self, size: Literal["smaller", "larger"], *, alpha: float) -> bool:
        """Whether the rise of this rival is smaller (or larger) than that of the factor."""
        interval = self.difference.ci95
        beyond = interval.low > 0 if size == "smaller" else interval.high < 0
        return beyond and self.p_adjusted <= alpha


@dataclass(frozen=True, slots=True)
class Ranking:
    """The rivals of one factor among K factors. The first `top` = ⌈K / 3⌉ are "among the most sensitive".

    `alpha` is the level at which the rivals are compared with the factor.
    """

    top: int
    rivals: dict[str, Rival]
    alpha: float = 0.05

    @property
    def smaller(self) -> tuple[str, ...]:
        return self._significantly("smaller")

    @property
    def larger(self) -> tuple[str, ...]:
        return self._significantly("larger")

    @property
    def verdict(self) -> Literal["confirmed", "refuted", "undecided"]:
        """Confirmed if at least K − top rivals are significantly smaller, refuted if at least `top` are
        larger.
        """
        factors = len(self.rivals) + 1
        if len(self.smaller) >= factors - self.top:
            return "confirmed"
        return "refuted" if len(self.larger) >= self.top else "undecided"

    def _significantly(self, size: Literal["smaller", "larger"]) -> tuple[str, ...]:
        rivals = self.rivals.items()
        return tuple(name for name, rival in rivals if rival.is_significantly(size, alpha=self.alpha))


def worst_rise(lower: Pairs, higher: Pairs, default: Pairs) -> dict[int, float]:
    """S of a factor: for each seed, the larger rise of log loss of its two levels, ÷ r and × r, over the
    default.

    A training that diverged counts as inf, and so does its rise; if the default diverged as well, the rise is
    0. Raises ValueError if a seed lacks a level or a loss is not positive.
    """
    down, up = log_ratios(lower, default), log_ratios(higher, default)
    return {seed: max(down[seed], up[seed]) for seed in default}


def most_sensitive(rises: Mapping[str, Pairs], factor: str, *, alpha: float = 0.05) -> Ranking:
    """`rises[name][seed]` of `worst_rise`, the `factor` against each of the others by the paired signed-rank
    test at the level `alpha`.

    Raises ValueError if there are fewer than 5 factors, if the factor is unknown, or if factors have
    different seeds.
    """
    if len(rises) < FEWEST_FACTORS:
        raise ValueError(f"a ranking needs at least {FEWEST_FACTORS} factors, but there are {len(rises)}")
    if factor not in rises:
        raise ValueError(f"there are no rises of {factor!r}, only of {', '.join(sorted(rises))}")
    estimates = {
        name: paired_estimate(differences(rises[factor], other))
        for name, other in rises.items()
        if name != factor
    }
    adjusted = holm({name: estimate.p for name, estimate in estimates.items()})
    return Ranking(
        top=math.ceil(len(rises) / 3),
        rivals={name: Rival(estimate, adjusted[name]) for name, estimate in estimates.items()},
        alpha=alpha,
    )

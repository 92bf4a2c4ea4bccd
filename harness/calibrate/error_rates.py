"""How often the analysis is wrong: false alarms, false equivalences and power, with bounds (validity.md, "The
harness is measured too").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.calibrate.noise import Residuals
from harness.calibrate.simulate import Simulation, simulate
from harness.metrics import DEFAULT_MARGINS
from harness.statistics import MINIMUM_ROUNDS, rounds_needed

LEVEL = 0.05
TAIL = 0.005
"""A correct analysis is outside of a two-sided bound once in 100 times: 33 to 69 of 1,000, at most 19 of 200.
"""
LEAST_FOUND = 0.7
MARGIN = DEFAULT_MARGINS["time"]


@dataclass(frozen=True, kw_only=True)
class FalseAlarms:
    """Of `studies` of a baseline against itself, how many 95 % intervals exclude zero, and how many came out
    equivalent.
    """

    studies: int
    excluding_zero: int
    equivalent: int
    rounds: int
    bounds: tuple[int, int]
    source: str

    @property
    def within(self) -> bool:
        return self.bounds[0] <= self.excluding_zero <= self.bounds[1]


@dataclass(frozen=True, kw_only=True)
class Power:
    """`equivalent` of `at_margin` studies whose true effect is exactly the margin; `found` of `planted` with
    twice the margin.
    """

    planted: int
    found: int
    least_found: int
    at_margin: int
    equivalent_at_margin: int
    most_equivalent_at_margin: int
    margin: float
    rounds_with_power: int
    source: str

    @property
    def within(self) -> bool:
        return self.found >= self.least_found and self.equivalent_at_margin <= self.most_equivalent_at_margin


def expected(studies: int) -> tuple[int, int]:
    """The fewest and the most of `studies` that a test of size 5 % rejects, each tail at most half a percent."""
    from scipy.stats import binom

    counts = range(studies + 1)
    low = max(count for count in counts if binom.cdf(count - 1, studies, LEVEL) <= TAIL)
    high = min(count for count in counts if binom.sf(count, studies, LEVEL) <= TAIL)
    return low, high


def false_alarms(residuals: Residuals, studies: int, *, processes: int = 1) -> FalseAlarms:
    """Simulated studies of ten rounds without any effect, the machine drifting under them."""
    found = simulate(Simulation(residuals=residuals, rounds=MINIMUM_ROUNDS), studies, processes=processes)
    return FalseAlarms(
        studies=studies,
        excluding_zero=sum(one.excludes_zero for one in found),
        equivalent=sum(one.equivalent for one in found),
        rounds=MINIMUM_ROUNDS,
        bounds=expected(studies),
        source=residuals.source,
    )


def power(residuals: Residuals, *, at_margin: int, planted: int, processes: int = 1) -> Power:
    """Simulated studies of as many rounds as this noise needs, at exactly the margin and at twice the margin."""
    rounds = rounds_needed(residuals.scatter(), MARGIN)
    same, found = (
        simulate(
            Simulation(residuals=residuals, rounds=rounds, effect=math.log1p(size), seed=place),
            studies,
            processes=processes,
        )
        for place, (size, studies) in enumerate(((MARGIN, at_margin), (2 * MARGIN, planted)), start=1)
    )
    return Power(
        planted=planted,
        found=sum(one.detected for one in found),
        least_found=math.ceil(LEAST_FOUND * planted),
        at_margin=at_margin,
        equivalent_at_margin=sum(one.equivalent for one in same),
        most_equivalent_at_margin=expected(at_margin)[1],
        margin=MARGIN,
        rounds_with_power=rounds,
        source=residuals.source,
    )

"""How often the analysis is wrong: false alarms, false equivalences and power, with bounds, in simulated
studies and in real runs that compare a baseline with itself (`docs/validity.md`, "The harness is measured
too").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.calibrate.noise import Residuals
from harness.calibrate.simulate import (
    DISTURBANCES,
    GENERATION,
    UNDISTURBED,
    Disturbance,
    Simulation,
    aa_study,
    simulate,
)
from harness.experiment import Experiment, Listener, Workspace
from harness.experiment.this_machine import this_machine
from harness.metrics import DEFAULT_MARGINS
from harness.statistics import MINIMUM_ROUNDS, rounds_needed
from harness.statistics.rank_sums import attained_size

LEVEL = 0.05
TAIL = 0.005
"""A correct analysis leaves two-sided bounds once in 100 times."""
ARMS = (2, 4, 5)
"""The numbers of arms of the studies whose noise follows the order of trials."""
LEAST_DETECTED = 0.7
MARGIN = DEFAULT_MARGINS["time"]

CONDITIONS = 20
"""The most comparisons in one real run."""

SECONDS_PER_ROUND, SECONDS_PER_TRIAL = 3.0, 0.13
_FEWEST_TOKENS = 16


@dataclass(frozen=True, kw_only=True)
class FalseAlarms:
    """How many of `studies` that compare a baseline with itself have a 95 % interval that excludes zero, and
    how many have the verdict `equivalent`.
    """

    studies: int
    excluding_zero: int
    equivalent: int
    rounds: int
    bounds: tuple[int, int]
    source: str
    arms: int = 2
    noise: str = ""

    @property
    def within(self) -> bool:
        return self.bounds[0] <= self.excluding_zero <= self.bounds[1]

    def summary(self) -> str:
        low, high = self.bounds
        return (
            f"{self.excluding_zero:,} of {self.studies:,} comparisons of a baseline with itself have a 95 % "
            f"interval that excludes zero (acceptable: {low:,} to {high:,}"
            + (f"; {self.noise}, {self.arms} arms)" if self.noise else ")")
        )


@dataclass(frozen=True, kw_only=True)
class Power:
    """`equivalent_at_margin` counts the studies with the verdict `equivalent` among the `at_margin` studies
    whose true effect is exactly the margin. `detected` counts the effects that were detected among the
    `planted` effects, which are twice the margin.
    """

    planted: int
    detected: int
    least_detected: int
    at_margin: int
    equivalent_at_margin: int
    most_equivalent_at_margin: int
    margin: float
    rounds_with_power: int
    source: str

    @property
    def within(self) -> bool:
        enough = self.detected >= self.least_detected
        return enough and self.equivalent_at_margin <= self.most_equivalent_at_margin

    def summary(self) -> str:
        return (
            f"{self.equivalent_at_margin:,} of {self.at_margin:,} studies whose true effect is the margin "
            f"are called equivalent (acceptable: at most {self.most_equivalent_at_margin:,}); "
            f"{self.detected:,} of {self.planted:,} planted effects are detected "
            f"(acceptable: at least {self.least_detected:,})"
        )


def expected(studies: int, size: float) -> tuple[int, int]:
    """The fewest and the most rejections to expect from `studies` tests that reject a true hypothesis with
    the probability `size`, with at most half a percent in each tail.
    """
    from scipy.stats import binom

    counts = range(studies + 1)
    low = max(count for count in counts if binom.cdf(count - 1, studies, size) <= TAIL)
    high = min(count for count in counts if binom.sf(count, studies, size) <= TAIL)
    return low, high


def attainable_size(rounds: int, *, sides: int = 2) -> float:
    """The largest size, at most 5 %, that the exact signed-rank test of so many rounds can have."""
    return attained_size(rounds, LEVEL, sides=sides)


def false_alarms(
    residuals: Residuals,
    studies: int,
    *,
    arms: int = 2,
    disturbance: Disturbance = UNDISTURBED,
    processes: int = 1,
) -> FalseAlarms:
    """Simulate studies of ten rounds without any effect, on a machine whose speed drifts.

    With a disturbance that follows the order of trials, differences are not exchangeable. The test may then
    reject less often than its size, so there is no lower bound.
    """
    simulation = Simulation(
        residuals=residuals, rounds=MINIMUM_ROUNDS, arms=arms, disturbance=disturbance, seed=arms
    )
    results = simulate(simulation, studies, processes=processes)
    low, high = expected(studies, attainable_size(MINIMUM_ROUNDS))
    return FalseAlarms(
        studies=studies,
        excluding_zero=sum(result.excludes_zero for result in results),
        equivalent=sum(result.equivalent for result in results),
        rounds=MINIMUM_ROUNDS,
        bounds=(0 if disturbance.name else low, high),
        source=residuals.source,
        arms=arms,
        noise=disturbance.name,
    )


def disturbed_false_alarms(residuals: Residuals, studies: int, *, processes: int = 1) -> list[FalseAlarms]:
    """The same for every disturbance and for two, four and five arms."""
    return [
        false_alarms(residuals, studies, arms=arms, disturbance=disturbance, processes=processes)
        for disturbance in DISTURBANCES
        for arms in ARMS
    ]


def power(residuals: Residuals, *, at_margin: int, planted: int, processes: int = 1) -> Power:
    """Simulate studies with as many rounds as this noise needs, whose true effect is the margin or twice the
    margin.
    """
    rounds = rounds_needed(residuals.scatter(), MARGIN)
    with_margin, with_effect = (
        simulate(
            Simulation(residuals=residuals, rounds=rounds, effect=math.log1p(size), seed=seed),
            studies,
            processes=processes,
        )
        for seed, (size, studies) in enumerate(((MARGIN, at_margin), (2 * MARGIN, planted)), start=1)
    )
    return Power(
        planted=planted,
        detected=sum(result.detected for result in with_effect),
        least_detected=math.ceil(LEAST_DETECTED * planted),
        at_margin=at_margin,
        equivalent_at_margin=sum(result.equivalent for result in with_margin),
        most_equivalent_at_margin=expected(at_margin, attainable_size(rounds, sides=1))[1],
        margin=MARGIN,
        rounds_with_power=rounds,
        source=residuals.source,
    )


def seconds_needed(studies: int) -> float:
    """Roughly how long `real_false_alarms` takes on two cores."""
    runs, trials = math.ceil(studies / CONDITIONS), 2 * studies
    return MINIMUM_ROUNDS * (runs * SECONDS_PER_ROUND + trials * SECONDS_PER_TRIAL)


def real_false_alarms(studies: int, workspace: Workspace, *, device: str, listener: Listener) -> FalseAlarms:
    """Run `studies` comparisons of a small generation with itself, each with ten rounds of two new processes.

    A run has up to 20 comparisons, at different lengths, which share the rounds and their fork servers but no
    trial. Every raw sample stays in the store. An invalid comparison counts as an interval that excludes
    zero.
    """
    here, gpu = this_machine(device)
    excluding, equivalent = 0, 0
    runs: list[str] = []
    while studies > len(runs) * CONDITIONS:
        lengths = list(
            range(_FEWEST_TOKENS, _FEWEST_TOKENS + min(CONDITIONS, studies - len(runs) * CONDITIONS))
        )
        settings = [
            f"design.rounds={MINIMUM_ROUNDS}",
            f"design.order_seed={len(runs)}",
            f"across.new_tokens={lengths}",
        ]
        experiment = Experiment(
            (aa_study(GENERATION, settings),), here, workspace=workspace, gpu=gpu, plant=None
        )
        experiment.run(fresh=True, listener=listener)
        with experiment.opened() as (_, made):
            runs += [run.id for run in made]
        metric, contrasts = experiment.parts[0].study.primary, experiment.analysis().contrasts
        primary = [contrast for contrast in contrasts if contrast.metric == metric]
        excluding += sum(not contrast.low <= 1.0 <= contrast.high for contrast in primary)
        equivalent += sum(contrast.verdict == "equivalent" for contrast in primary)
    return FalseAlarms(
        studies=studies,
        excluding_zero=excluding,
        equivalent=equivalent,
        rounds=MINIMUM_ROUNDS,
        bounds=(0, expected(studies, attainable_size(MINIMUM_ROUNDS))[1]),
        source=f"measured now, run{'s' if len(runs) > 1 else ''} {', '.join(runs)}",
    )

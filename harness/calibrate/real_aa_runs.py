"""Real runs of a baseline against itself: the whole way from the plan to the interval, with nothing
simulated.
"""

from __future__ import annotations

import math

from harness.calibrate.aa_study import GENERATION, against_itself
from harness.calibrate.error_rates import FalseAlarms, expected
from harness.experiment import Experiment, Listener, Place
from harness.experiment.experiment import this_machine
from harness.statistics import MINIMUM_ROUNDS

CONDITIONS = 20
SECONDS_PER_ROUND, SECONDS_PER_TRIAL = 3.0, 0.13
_FEWEST_TOKENS = 16


def seconds_needed(studies: int) -> float:
    """About how long `real_false_alarms` takes on two cores."""
    runs, trials = math.ceil(studies / CONDITIONS), 2 * studies
    return MINIMUM_ROUNDS * (runs * SECONDS_PER_ROUND + trials * SECONDS_PER_TRIAL)


def real_false_alarms(studies: int, place: Place, *, device: str, listener: Listener) -> FalseAlarms:
    """Run `studies` comparisons of a small generation with itself, each of ten rounds of two fresh processes.

    A run has up to 20 of them, at as many lengths, which share the rounds and their fork servers; comparisons
    never share a trial. Every raw sample stays in the store. One that does not count is an interval that
    excludes zero.
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
            (against_itself(GENERATION, settings),), here, place=place, gpu=gpu, plant=None
        )
        experiment.run(fresh=True, listener=listener)
        with experiment.opened() as (_, made):
            runs += [run.id for run in made]
        found = experiment.analysis().contrasts
        primary = [contrast for contrast in found if contrast.metric == experiment.parts[0].study.primary]
        excluding += sum(not contrast.low <= 1.0 <= contrast.high for contrast in primary)
        equivalent += sum(contrast.verdict == "equivalent" for contrast in primary)
    return FalseAlarms(
        studies=studies,
        excluding_zero=excluding,
        equivalent=equivalent,
        rounds=MINIMUM_ROUNDS,
        bounds=(0, expected(studies)[1]),
        source=f"measured now: run{'s' if len(runs) > 1 else ''} {', '.join(runs)}",
    )

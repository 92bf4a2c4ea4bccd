"""Real runs that compare a baseline with itself. Nothing between the plan and the interval is simulated."""

from __future__ import annotations

import math

from harness.calibrate.error_rates import FalseAlarms, expected
from harness.calibrate.simulate import GENERATION, aa_study
from harness.experiment import Experiment, Listener, Workspace
from harness.experiment.experiment import this_machine
from harness.statistics import MINIMUM_ROUNDS

CONDITIONS = 20
SECONDS_PER_ROUND, SECONDS_PER_TRIAL = 3.0, 0.13
_FEWEST_TOKENS = 16


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
        bounds=(0, expected(studies)[1]),
        source=f"measured now, run{'s' if len(runs) > 1 else ''} {', '.join(runs)}",
    )

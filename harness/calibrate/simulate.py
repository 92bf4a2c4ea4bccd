"""Studies on resampled noise whose true effect is known, taken through the analysis that every study goes
through.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from harness.analysis.analyse import analyse
from harness.analysis.frames import RunFrames, sample_frame
from harness.analysis.results import Contrast
from harness.calibrate.aa_study import GENERATION, against_itself
from harness.calibrate.noise import Residuals
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.trial.spec import TrialSpec

LARGEST_DRIFT = 0.25
"""Of the machine's speed, from the first trial of a study to its last, up or down."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the analysis said of one simulated study."""

    excludes_zero: bool
    equivalent: bool
    detected: bool
    """The verdict names a difference, in the direction of the true one."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """`effect` is the true log ratio of the arm to the baseline; it points down in every other study."""

    residuals: Residuals
    rounds: int
    effect: float = 0.0
    seed: int = 0

    def study(self, number: int) -> Found:
        """Study `number`: each round is a real one, and its two trials are two of that round's, drawn without
        replacement.

        So slow rounds stay slow for both arms and outliers stay what they were, but which arm has them is
        chance. On top the machine drifts in a straight line over the order of the trials, which is that of a
        plan.
        """
        chance = random.Random(f"{self.seed}/{number}")
        loaded = _reordered(_study(self.rounds), number)
        effect = -self.effect if number % 2 else self.effect
        drift = chance.uniform(-LARGEST_DRIFT, LARGEST_DRIFT)
        rows: list[TrialRow] = []
        samples: list[tuple[int, str, int, float]] = []
        order = plan(loaded).rounds
        trials = sum(map(len, order))
        for round_trials in order:
            drawn = chance.sample(chance.choice(self.residuals.rounds), len(round_trials))
            for spec, noise in zip(round_trials, drawn, strict=True):
                row = _row(len(rows) + 1, spec)
                level = drift * (row.position / trials) + (
                    0.0 if spec.arm == loaded.baseline.name else effect
                )
                samples += [
                    (row.id, loaded.study.primary, step, float(1000 * np.exp(level + unit)))
                    for step, unit in enumerate(noise)
                ]
                rows.append(row)
        frames = RunFrames(samples=sample_frame(rows, samples), trials=tuple(rows), checks=())
        contrast = next(c for c in analyse(loaded, frames).contrasts if c.metric == loaded.study.primary)
        return _found(contrast, effect)


def simulate(simulation: Simulation, studies: int, *, processes: int) -> list[Found]:
    """The studies from 0 to `studies`; the same, however many processes share them."""
    if processes == 1:
        return [simulation.study(number) for number in range(studies)]
    shares = [range(first, studies, processes) for first in range(processes)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
        return [found for share in pool.map(partial(_share, simulation), shares) for found in share]


def _share(simulation: Simulation, numbers: Sequence[int]) -> list[Found]:
    return [simulation.study(number) for number in numbers]


@lru_cache(maxsize=4)
def _study(rounds: int) -> LoadedStudy:
    return against_itself(GENERATION, [f"design.rounds={rounds}"])


def _reordered(loaded: LoadedStudy, number: int) -> LoadedStudy:
    """Every study has an order of its own."""
    design = loaded.study.design.model_copy(update={"order_seed": number})
    return replace(loaded, study=loaded.study.model_copy(update={"design": design}))


def _row(number: int, spec: TrialSpec) -> TrialRow:
    return TrialRow(
        id=number,
        run_id="",
        session_id=1,
        spec_id=str(number),
        purpose=spec.purpose,
        task=spec.task,
        arm=spec.arm,
        condition=spec.condition,
        seed=spec.seed,
        round=spec.round,
        position=number - 1,
        attempt=1,
        state="finished",
        superseded_state=None,
        started_at="",
        seconds=1.0,
        spec_json="",
        outputs={},
        spent={},
        notes={},
        error=None,
        traceback=None,
        nvml_reason=None,
    )


def _found(contrast: Contrast, effect: float) -> Found:
    if contrast.verdict == "invalid":
        raise AssertionError(f"a simulated study is whole, and came out invalid: {contrast.reason}")
    return Found(
        excludes_zero=contrast.low > 1.0 or contrast.high < 1.0,
        equivalent=contrast.verdict == "equivalent",
        detected=contrast.verdict == ("better" if effect > 0 else "worse"),
    )

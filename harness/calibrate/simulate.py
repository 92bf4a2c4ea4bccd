"""Simulated studies on resampled noise whose true effect is known. They go through the same analysis as every
study.
"""

from __future__ import annotations

import math
import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.analysis.analyse import analyse
from harness.analysis.frames import RunFrames, sample_frame
from harness.analysis.results import Contrast
from harness.calibrate.noise import Residuals
from harness.store.rows import TrialRow
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.trial.spec import TrialSpec

_FOLDER = Path(__file__).with_name("studies")
GENERATION = _FOLDER / "generation.yaml"
STUDIES = (GENERATION, _FOLDER / "training.yaml")
"""The studies whose metrics are calibrated."""

LARGEST_DRIFT = 0.25
"""The largest change of the machine's speed from the first trial of a study to its last, up or down."""


@dataclass(frozen=True, slots=True)
class SimulatedVerdict:
    """What the analysis of one simulated study says. `detected` is whether the verdict names a difference in
    the direction of the true one.
    """

    excludes_zero: bool
    equivalent: bool
    detected: bool


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """`effect` is the true log ratio of the arm to the baseline. Every other study has the opposite sign."""

    residuals: Residuals
    rounds: int
    effect: float = 0.0
    seed: int = 0

    def study(self, number: int) -> SimulatedVerdict:
        """Study `number`. Each round is a real round, and its two trials are drawn from it without
        replacement.

        So slow rounds stay slow for both arms and outliers remain outliers, but chance decides which arm has
        them. In addition, the speed of the machine drifts in a straight line over the planned order of
        trials.
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
        return _verdict(contrast, effect)


def aa_study(study: Path, settings: Sequence[str] = ()) -> LoadedStudy:
    """The study with the settings of the baseline in every arm. A study file cannot declare this."""
    (loaded,) = load_study(study, settings=settings)
    baseline = loaded.baseline.name
    tasks = {(arm, condition): loaded.tasks[baseline, condition] for arm, condition in loaded.tasks}
    return replace(loaded, tasks=tasks)


def simulate(simulation: Simulation, studies: int, *, processes: int) -> list[SimulatedVerdict]:
    """Simulate the studies 0 to `studies`. The result does not depend on the number of processes."""
    if processes == 1:
        return [simulation.study(number) for number in range(studies)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
        return list(pool.map(simulation.study, range(studies), chunksize=math.ceil(studies / processes)))


@lru_cache(maxsize=4)
def _study(rounds: int) -> LoadedStudy:
    return aa_study(GENERATION, [f"design.rounds={rounds}"])


def _reordered(loaded: LoadedStudy, number: int) -> LoadedStudy:
    """The study with the order of trials that its number gives."""
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


def _verdict(contrast: Contrast, effect: float) -> SimulatedVerdict:
    if contrast.verdict == "invalid":
        raise AssertionError(f"the verdict of a complete simulated study is invalid: {contrast.reason}")
    return SimulatedVerdict(
        excludes_zero=contrast.low > 1.0 or contrast.high < 1.0,
        equivalent=contrast.verdict == "equivalent",
        detected=contrast.verdict == ("better" if effect > 0 else "worse"),
    )

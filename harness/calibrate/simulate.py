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
from harness.analysis.frames import MemoryFrames, sample_frame
from harness.analysis.results import Contrast
from harness.calibrate.noise import Residuals, Trial
from harness.store.rows import TrialRow
from harness.study.arms import arms
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


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Noise that depends on the order of the trials. Every figure slows a trial, as a share of its time.

    `after_second` slows the trial after the second arm, `first_place` the first trial of every round, and
    `within_round` every trial of a round, against the one before.
    """

    name: str = ""
    after_second: float = 0.0
    first_place: float = 0.0
    within_round: float = 0.0

    def slowed(self, place_in_round: int, before: str, second: str) -> float:
        """The logarithm of how much slower a trial is. `before` is the arm of the trial before it."""
        return (
            math.log1p(self.after_second) * (before == second)
            + math.log1p(self.first_place) * (place_in_round == 0)
            + math.log1p(self.within_round) * place_in_round
        )


UNDISTURBED = Disturbance()
DISTURBANCES = (
    Disturbance(name="carry-over of 5 %", after_second=0.05),
    Disturbance(name="first place 10 % slower", first_place=0.10),
    Disturbance(name="drift of 1 % per trial of a round", within_round=0.01),
)


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
    """`effect` is the true log ratio of each arm to the baseline. Every other study has the opposite sign.

    With several arms, the studies take turns at the arm whose verdict is returned, so that studies stay
    independent of each other.
    """

    residuals: Residuals
    rounds: int
    effect: float = 0.0
    seed: int = 0
    arms: int = 2
    disturbance: Disturbance = UNDISTURBED

    def study(self, number: int) -> SimulatedVerdict:
        """Study `number`. Each round is a real round, and its trials are drawn from it, without replacement
        if it has enough.

        So slow rounds stay slow for all arms and outliers remain outliers, but chance decides which arm has
        them. In addition, the speed of the machine drifts in a straight line over the planned order of
        trials, and the disturbance follows the order of the plan, lead-ins included.
        """
        chance = random.Random(f"{self.seed}/{number}")
        loaded = _reordered(_study(self.rounds, self.arms), number)
        second = loaded.arms[1].name
        effect = -self.effect if number % 2 else self.effect
        drift = chance.uniform(-LARGEST_DRIFT, LARGEST_DRIFT)
        rows: list[TrialRow] = []
        samples: list[tuple[int, str, int, float]] = []
        batches = [batch for batch in plan(loaded).batches if batch.purpose == "measure"]
        trials = sum(len(batch.with_opening) for batch in batches)
        begun, before = 0, ""
        for batch in batches:
            drawn = _drawn(chance, self.residuals, len(batch.with_opening))
            for turn, (spec, noise) in enumerate(zip(batch.with_opening, drawn, strict=True)):
                begun += 1
                row = trial_row(begun, spec)
                level = drift * (row.position / trials) + (
                    0.0 if spec.arm == loaded.baseline.name else effect
                )
                level -= self.disturbance.slowed(turn, before, second)
                before = spec.arm
                samples += [
                    (row.id, loaded.study.primary, step, float(1000 * np.exp(level + unit)))
                    for step, unit in enumerate(noise)
                ]
                rows.append(row)
        frames = MemoryFrames(samples=sample_frame(rows, samples), trials=tuple(rows), checks=())
        compared = [c for c in analyse(loaded, frames).contrasts if c.metric == loaded.study.primary]
        return _verdict(compared[number % len(compared)], effect)


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


def _drawn(chance: random.Random, residuals: Residuals, trials: int) -> list[Trial]:
    """So many trials of one real round. With replacement only if no round has as many."""
    enough = [one for one in residuals.rounds if len(one) >= trials]
    if enough:
        return chance.sample(chance.choice(enough), trials)
    return chance.choices(chance.choice(residuals.rounds), k=trials)


@lru_cache(maxsize=16)
def _study(rounds: int, number: int) -> LoadedStudy:
    """A study of so many equal arms."""
    loaded = aa_study(GENERATION, [f"design.rounds={rounds}"])
    baseline = {
        condition: task for (arm, condition), task in loaded.tasks.items() if arm == loaded.baseline.name
    }
    levels = {"compare": {"arm": [str(index) for index in range(number)]}}
    study = loaded.study.model_copy(update=levels)
    equal = arms(study)
    tasks = {(arm.name, condition): task for arm in equal for condition, task in baseline.items()}
    return replace(loaded, study=study, arms=equal, tasks=tasks)


def _reordered(loaded: LoadedStudy, number: int) -> LoadedStudy:
    """The study with the order of trials that its number gives."""
    design = loaded.study.design.model_copy(update={"order_seed": number})
    return replace(loaded, study=loaded.study.model_copy(update={"design": design}))


def trial_row(number: int, spec: TrialSpec) -> TrialRow:
    """A simulated trial that finished."""
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

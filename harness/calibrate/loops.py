"""Loops that try one change after another and keep what looks better: how many changes that do nothing they
keep, and how many real gains they find. Trainings are simulated; what judges them is the real analysis.
"""

from __future__ import annotations

import math
import multiprocessing
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, sample_frame
from harness.calibrate.simulate import trial_row
from harness.experiment.judged_pair import CLAIM, DEFAULT_SEEDS, Question, judged_pair
from harness.experiment.judging import verdict_of
from harness.metrics import declared
from harness.store.rows import TrialRow
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan

NOTHING, GAINS, GAIN = 100, 20, 0.02
"""How many changes that do nothing a loop tries, how many real gains, and how much each of them lowers the
loss.
"""
SCATTERS = (0.005, 0.01)
"""The standard deviations of the logarithm of a loss between seeds."""

_METRIC = "val_loss"


class Rule:
    """How a loop decides whether it keeps a change. `trainings` counts what it has measured."""

    name: str

    def __init__(self, chance: np.random.Generator, scatter: float) -> None:
        self._chance, self._scatter, self.trainings = chance, scatter, 0

    def keeps(self, current: float, changed: float) -> bool:
        """Whether it keeps a change, given the true losses before and after it."""
        raise NotImplementedError

    def _measured(self, loss: float, seeds: int) -> np.ndarray:
        self.trainings += seeds
        return loss * np.exp(self._chance.normal(0.0, self._scatter, seeds))


class BelowTheBest(Rule):
    """Trains the change once, and keeps it if its loss is below the lowest one so far."""

    name = "below the best so far"

    def __init__(self, chance: np.random.Generator, scatter: float) -> None:
        super().__init__(chance, scatter)
        self._best = math.inf

    def keeps(self, current: float, changed: float) -> bool:
        if self._best == math.inf:
            self._best = float(self._measured(current, 1)[0])
        value = float(self._measured(changed, 1)[0])
        lower, self._best = value < self._best, min(value, self._best)
        return lower


class BelowOnce(Rule):
    """Trains both versions once, and keeps the change if its loss is the lower one."""

    name = "below a new run of the current version"

    def keeps(self, current: float, changed: float) -> bool:
        return bool(self._measured(changed, 1)[0] < self._measured(current, 1)[0])


class Judged(Rule):
    """Asks as `harness judge` does by default, and keeps what is better."""

    name = "harness judge"

    def keeps(self, current: float, changed: float) -> bool:
        return self._is_better(current, changed)

    def _is_better(self, current: float, changed: float) -> bool:
        values = [self._measured(loss, DEFAULT_SEEDS) for loss in (current, changed)]
        return judged_word(*values) == "better"


class JudgedTwice(Judged):
    """Asks as `harness judge --confirm` does."""

    name = "harness judge --confirm"

    def keeps(self, current: float, changed: float) -> bool:
        return self._is_better(current, changed) and self._is_better(current, changed)


RULES: tuple[type[Rule], ...] = (BelowTheBest, BelowOnce, Judged, JudgedTwice)


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """What loops with one rule did on average: how many of `NOTHING` changes that do nothing they kept, how
    many of `GAINS` real gains they found, and how many trainings a change took.
    """

    rule: str
    scatter: float
    loops: int
    false_kept: float
    gains_found: float
    trainings: float


def compare_loops(loops: int, *, processes: int, scatters: Sequence[float] = SCATTERS) -> list[LoopResult]:
    """Run so many loops with each rule under each scatter."""
    cases = [(rule, scatter) for scatter in scatters for rule in range(len(RULES))]
    run = partial(_result, loops=loops)
    if processes == 1:
        return [run(case) for case in cases]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
        return list(pool.map(run, cases))


def _result(case: tuple[int, float], *, loops: int) -> LoopResult:
    rule, scatter = RULES[case[0]], case[1]
    false_alarms: list[int] = []
    finds: list[int] = []
    trainings = 0
    for number in range(loops):
        for changes, gain, counts in ((NOTHING, 0.0, false_alarms), (GAINS, GAIN, finds)):
            chance = np.random.default_rng([number, changes, case[0], round(scatter * 1e6)])
            loop = rule(chance, scatter)
            counts.append(_count_kept(loop.keeps, changes, gain))
            trainings += loop.trainings
    return LoopResult(
        rule=rule.name,
        scatter=scatter,
        loops=loops,
        false_kept=statistics.mean(false_alarms),
        gains_found=statistics.mean(finds),
        trainings=trainings / loops / (NOTHING + GAINS),
    )


def _count_kept(keeps: Callable[[float, float], bool], changes: int, gain: float) -> int:
    """How many of so many changes a loop keeps. What it keeps is the current version from then on."""
    loss, count = 1.0, 0
    for _ in range(changes):
        if keeps(loss, loss * (1 - gain)):
            loss, count = loss * (1 - gain), count + 1
    return count


def judged_word(before: Iterable[float], after: Iterable[float]) -> str:
    """The word of `harness judge` for the losses of A and B, one for each seed."""
    loaded = _study()
    values = dict(zip((arm.name for arm in loaded.arms), map(list, (before, after)), strict=True))
    rows: list[TrialRow] = []
    samples: list[tuple[int, str, int, float]] = []
    with declared(loaded.study.records):
        for batch in plan(loaded).batches:
            for spec in batch.trials:
                row = trial_row(len(rows) + 1, spec)
                rows.append(row)
                samples.append((row.id, _METRIC, 0, values[spec.arm][spec.seed]))
        frames = MemoryFrames(samples=sample_frame(rows, samples), trials=tuple(rows), checks=())
        analysis = analyse(loaded, frames)
    [claim] = [one for one in analysis.claims if one.id == CLAIM]
    [contrast] = [one for one in analysis.contrasts if one.metric == _METRIC]
    return verdict_of(claim, contrast, {})[0]


@cache
def _study() -> LoadedStudy:
    """The study by which `harness judge` compares two versions of a program that takes its seed."""
    question = Question(metric=_METRIC, higher=False, command="train {seed}")
    with TemporaryDirectory() as name:
        here = Path(name)
        for letter in "AB":
            (here / letter).mkdir()
            (here / letter / "train").write_text(letter)
        pair = judged_pair("A", "B", question, folder=here, here=here)
        file = here / "study.yaml"
        file.write_text(pair.study(), encoding="utf-8")
        [loaded] = load_study(file)
    return loaded

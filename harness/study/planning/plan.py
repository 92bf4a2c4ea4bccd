"""From a study to its trials, in batches: tuning, then trainings, checks and rounds, in an order that is
random and recorded.

The next trials can depend on results. So a plan is made from a study and the results so far, and more results
only make its known part longer. A driver asks `schedule` for batches until there are none. A driver that was
killed and started again gets the same batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from harness.study.loaded import LoadedStudy
from harness.study.planning.resolved import is_open, resolve
from harness.study.planning.results import Results
from harness.study.planning.trials import Rounds, check_trials, training_trials
from harness.study.planning.tuning import candidates, tuning_trials
from harness.study.seeds import FIRST_TUNING_SEED, generator_seed
from harness.trial.spec import Purpose, TrialSpec

NOTHING_YET: Results = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class TrialBatch:
    """Trials of one purpose that are planned together.

    A batch of measurements is a round of one seed: every arm under every condition, all in one session. A
    round that is not complete is run again. Trials of other purposes do not depend on each other.

    `opening` is the lead-in of a round of timings: it runs before trials of the round, and it is not one of
    them. `skipped` says why trials are recorded as not run instead of being run.
    """

    purpose: Purpose
    trials: tuple[TrialSpec, ...]
    opening: TrialSpec | None = None
    skipped: str = ""

    @property
    def with_opening(self) -> tuple[TrialSpec, ...]:
        """The trials in the order in which they run, the lead-in included."""
        return self.trials if self.opening is None else (self.opening, *self.trials)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`known` are the batches that the results so far decide, in the order in which they run.

    `later` are the batches that depend on tuning: the candidates that a search has not asked, and everything
    after it. Until then they show every arm with its settings before tuning.
    """

    known: tuple[TrialBatch, ...]
    later: tuple[TrialBatch, ...] = ()

    @property
    def batches(self) -> tuple[TrialBatch, ...]:
        return (*self.known, *self.later)

    @property
    def trials(self) -> tuple[TrialSpec, ...]:
        return tuple(trial for batch in self.batches for trial in batch.with_opening)

    @property
    def trainings(self) -> tuple[TrialSpec, ...]:
        return self._with_purpose("train")

    @property
    def checks(self) -> tuple[TrialSpec, ...]:
        return self._with_purpose("check")

    @property
    def tuning(self) -> tuple[TrialSpec, ...]:
        return self._with_purpose("tune")

    @property
    def rounds(self) -> tuple[tuple[TrialSpec, ...], ...]:
        """The measurements of every round of every seed, without lead-ins."""
        return tuple(batch.trials for batch in self.batches if batch.purpose == "measure")

    @property
    def lead_ins(self) -> tuple[TrialSpec, ...]:
        return self._with_purpose("lead-in")

    def _with_purpose(self, purpose: Purpose) -> tuple[TrialSpec, ...]:
        return tuple(trial for trial in self.trials if trial.purpose == purpose)


def plan(loaded: LoadedStudy, results: Results = NOTHING_YET) -> Plan:
    """The trials of a study, as far as the results decide them. Equal studies with equal results have equal
    plans, in the same order.
    """
    now = resolve(loaded, results)
    tuning, measuring = tuple(_tuning(loaded, results)), tuple(_measuring(now))
    if is_open(now):
        return Plan(known=tuning, later=(*_not_asked(loaded, results), *measuring))
    return Plan(known=(*tuning, *measuring))


def longest_plan(loaded: LoadedStudy) -> Plan:
    """The plan of a study if its rounds do not end early."""
    design = loaded.study.design.model_copy(update={"until": None})
    return plan(replace(loaded, study=loaded.study.model_copy(update={"design": design})))


Asker = Callable[[LoadedStudy, Results], tuple[TrialSpec, ...]]
"""Gives the trials of tuning that a sampler asks next, and none if it has asked all."""


def schedule(
    loaded: LoadedStudy, results: Callable[[], Results], ask: Asker | None = None
) -> Iterator[TrialBatch]:
    """All batches in order. `results` returns the results so far, and is called whenever the next batch
    depends on them. `ask` is needed for a study whose tuning is a search.
    """
    yielded = 0
    while True:
        known = plan(loaded, results()).known
        if len(known) > yielded:
            yield from known[yielded:]
            yielded = len(known)
        elif ask is not None and (asked := ask(loaded, results())):
            yield TrialBatch(purpose="tune", trials=asked)
            yielded += 1
        else:
            return


def _tuning(loaded: LoadedStudy, results: Results) -> Iterator[TrialBatch]:
    tune = loaded.study.design.tune
    if tune is None:
        return
    cells = [(arm, condition) for arm in loaded.arms for condition in loaded.conditions]
    asked = [(cell, candidates(loaded, tune, cell, results)) for cell in cells]
    tasks = [candidate.task for _, listed in asked for candidate in listed]
    tasks = tasks if tune.grid else list(loaded.tasks.values())
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + tune.seeds)
    yield from _batch(training_trials((task, seed, None) for seed in seeds for task in tasks))
    pairs = [[(cell, candidate) for candidate in listed] for cell, listed in asked]
    together = [list(itertools.chain(*pairs))] if tune.grid else itertools.zip_longest(*pairs)
    for batch in together:
        chosen = [pair for pair in batch if pair is not None]
        yield from _batch(spec for cell, one in chosen for spec in tuning_trials(tune, cell, one.task))


def _not_asked(loaded: LoadedStudy, results: Results) -> Iterator[TrialBatch]:
    """As many trials as a search of the tuning will still ask, with the settings before tuning."""
    tune = loaded.study.design.tune
    if tune is None or tune.search is None:
        return
    for cell in ((arm, condition) for arm in loaded.arms for condition in loaded.conditions):
        task = loaded.tasks[cell[0].name, cell[1].name]
        for _ in range(tune.search.points - len(candidates(loaded, tune, cell, results))):
            yield from _batch(tuning_trials(tune, cell, task))


def _measuring(loaded: LoadedStudy) -> Iterator[TrialBatch]:
    seeds = range(loaded.study.design.seeds)
    name, draw = loaded.study.study, loaded.training_draw
    drawn = [(seed, generator_seed(name, draw, seed)) for seed in seeds]
    yield from _batch(training_trials((task, *seed) for seed in drawn for task in loaded.tasks.values()))
    yield from _batch(check_trials(loaded))
    rounds = Rounds(loaded)
    for number in range(1, loaded.study.design.rounds + 1):
        for seed in seeds:
            yield from _batch(rounds.trials(number, seed), rounds.lead_in(number, seed))


def _batch(trials: Iterable[TrialSpec], opening: TrialSpec | None = None) -> Iterator[TrialBatch]:
    specs = tuple(trials)
    if specs:
        yield TrialBatch(purpose=specs[0].purpose, trials=specs, opening=opening)

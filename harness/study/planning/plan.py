"""From a study to its trials, in batches: what is tuned, then trainings, checks, and rounds in an order that
is random and recorded.

What comes next may depend on what has come out. So a plan is made from a study and the results so far: more
results only lengthen what is known of it. A driver asks `schedule` for batches until there are none; killed
and started again, it is given the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from harness.study.loaded import LoadedStudy
from harness.study.planning.resolved import is_open, resolve
from harness.study.planning.results import Results
from harness.study.planning.trials import check_trials, round_trials, training_trials
from harness.study.planning.tuning import FIRST_SEED, tuning_grid, tuning_trials
from harness.trial.spec import Purpose, TrialSpec

NOTHING_YET: Results = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Trials of one purpose that are planned together.

    Measurements are a round of one seed: every arm under every condition, whole in one session, or it is run
    again. Trials of any other purpose stand each for itself.
    """

    purpose: Purpose
    trials: tuple[TrialSpec, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`known` are the batches that the results so far decide, in the order in which they are to run.

    `later` are those that follow from what tuning will find, with every arm at its own settings in the
    meantime.
    """

    known: tuple[Batch, ...]
    later: tuple[Batch, ...] = ()

    @property
    def batches(self) -> tuple[Batch, ...]:
        return (*self.known, *self.later)

    @property
    def trials(self) -> tuple[TrialSpec, ...]:
        return tuple(trial for batch in self.batches for trial in batch.trials)

    @property
    def trainings(self) -> tuple[TrialSpec, ...]:
        return self._of("train")

    @property
    def checks(self) -> tuple[TrialSpec, ...]:
        return self._of("check")

    @property
    def tuning(self) -> tuple[TrialSpec, ...]:
        return self._of("tune")

    @property
    def rounds(self) -> tuple[tuple[TrialSpec, ...], ...]:
        """Each round of each seed."""
        return tuple(batch.trials for batch in self.batches if batch.purpose == "measure")

    def _of(self, purpose: Purpose) -> tuple[TrialSpec, ...]:
        return tuple(trial for trial in self.trials if trial.purpose == purpose)


def plan(loaded: LoadedStudy, results: Results = NOTHING_YET) -> Plan:
    """The trials of a study as far as the results decide them; equal studies and results have equal plans,
    order included.
    """
    now = resolve(loaded, results)
    tuning, measuring = tuple(_tuning(loaded)), tuple(_measuring(now))
    return Plan(known=tuning, later=measuring) if is_open(now) else Plan(known=(*tuning, *measuring))


def longest_plan(loaded: LoadedStudy) -> Plan:
    """The plan of a study whose rounds never end early."""
    design = loaded.study.design.model_copy(update={"until": None})
    return plan(replace(loaded, study=loaded.study.model_copy(update={"design": design})))


def schedule(loaded: LoadedStudy, results: Callable[[], Results]) -> Iterator[Batch]:
    """Batch after batch until there are none.

    `results` is asked for what has come out whenever the next one depends on it.
    """
    given = 0
    while len(known := plan(loaded, results()).known) > given:
        yield from known[given:]
        given = len(known)


def _tuning(loaded: LoadedStudy) -> Iterator[Batch]:
    tune = loaded.study.design.tune
    if tune is None:
        return
    cells = [(arm, condition) for arm in loaded.arms for condition in loaded.conditions]
    tasks = [
        candidate.task
        for arm, condition in cells
        for candidate in tuning_grid(tune, loaded.tasks[arm.name, condition.name])
    ]
    seeds = range(FIRST_SEED, FIRST_SEED + tune.seeds)
    yield from _batch(training_trials((task, seed) for seed in seeds for task in tasks))
    trials = (tuning_trials(loaded, tune, arm, condition) for arm, condition in cells)
    yield from _batch(spec for candidates in trials for specs in candidates for spec in specs)


def _measuring(loaded: LoadedStudy) -> Iterator[Batch]:
    seeds = range(loaded.study.design.seeds)
    yield from _batch(training_trials((task, seed) for seed in seeds for task in loaded.tasks.values()))
    yield from _batch(check_trials(loaded))
    for number in range(1, loaded.study.design.rounds + 1):
        for seed in seeds:
            yield from _batch(round_trials(loaded, number, seed))


def _batch(trials: Iterable[TrialSpec]) -> Iterator[Batch]:
    specs = tuple(trials)
    if specs:
        yield Batch(purpose=specs[0].purpose, trials=specs)

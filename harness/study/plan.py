"""From a study to its trials, in batches: trainings, then checks, then rounds in an order that is random and recorded.

What comes next may depend on what has come out. So a plan is made from a study and the results so far: more results only
lengthen it. A driver asks `schedule` for batches until there are none; killed and started again, it is given the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harness.study.arms import Combination
from harness.study.load import LoadedStudy
from harness.study.order import arm_order, condition_order
from harness.study.results import Results
from harness.study.trial import Purpose, TrialSpec
from harness.tasks.base import Task

NOTHING_YET: Results = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Trials of one purpose that are planned together.

    Measurements are a round of one seed: every arm under every condition, whole in one session, or it is run again.
    Trials of any other purpose stand each for itself.
    """

    purpose: Purpose
    trials: tuple[TrialSpec, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The batches that are known by now, in the order in which they are to run."""

    batches: tuple[Batch, ...]

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
    def rounds(self) -> tuple[tuple[TrialSpec, ...], ...]:
        """Each round of each seed."""
        return tuple(batch.trials for batch in self.batches if batch.purpose == "measure")

    def _of(self, purpose: Purpose) -> tuple[TrialSpec, ...]:
        return tuple(trial for trial in self.trials if trial.purpose == purpose)


def plan(loaded: LoadedStudy, results: Results = NOTHING_YET) -> Plan:  # noqa: ARG001
    """The trials of a study as far as the results decide them; equal studies and results have equal plans, order included."""
    return Plan(batches=tuple(_batches(loaded)))


def schedule(loaded: LoadedStudy, results: Callable[[], Results]) -> Iterator[Batch]:
    """Batch after batch until there are none. `results` is asked for what has come out whenever the next one depends on it."""
    given = 0
    while len(batches := plan(loaded, results()).batches) > given:
        yield from batches[given:]
        given = len(batches)


def _batches(loaded: LoadedStudy) -> Iterator[Batch]:
    yield Batch(purpose="train", trials=_trainings(loaded))
    yield Batch(purpose="check", trials=tuple(_checks(loaded)))
    for number in range(1, loaded.study.design.rounds + 1):
        for seed in _seeds(loaded):
            yield Batch(purpose="measure", trials=tuple(_round(loaded, number, seed)))


def _seeds(loaded: LoadedStudy) -> range:
    return range(loaded.study.design.seeds)


def _trainings(loaded: LoadedStudy) -> tuple[TrialSpec, ...]:
    """One training for each recipe and seed that any arm loads, however many share it."""
    return trainings_of((task, seed) for seed in _seeds(loaded) for task in loaded.tasks.values())


def trainings_of(trials: Iterable[tuple[Task, int]]) -> tuple[TrialSpec, ...]:
    """The trainings whose models these tasks load with these seeds, each once."""
    specs: dict[str, TrialSpec] = {}
    for task, seed in trials:
        for training in task.trainings():
            spec = TrialSpec(
                purpose="train",
                task=training.name,
                arm="",
                condition={},
                seed=seed,
                round=0,
                config=training.plain(),
            )
            specs.setdefault(spec.id, spec)
    return tuple(specs.values())


def _checks(loaded: LoadedStudy) -> Iterator[TrialSpec]:
    """Each invariant once an arm, on the configs of all its conditions."""
    for invariant in loaded.study.invariants:
        for arm in loaded.arms:
            configs: list[dict[str, Any]] = []
            for condition in loaded.conditions:
                config = loaded.tasks[arm.name, condition.name].plain()
                if config not in configs:
                    configs.append(config)
            yield TrialSpec(
                purpose="check", task=invariant, arm=arm.name, condition={}, seed=0, round=0,
                config={"task": loaded.study.task, "configs": configs},
            )  # fmt: skip


def _round(loaded: LoadedStudy, number: int, seed: int) -> Iterator[TrialSpec]:
    """Every arm once under every condition, with one seed."""
    place = (number - 1) * loaded.study.design.seeds + seed
    for condition in condition_order(loaded, place):
        for arm in arm_order(loaded, condition, place):
            yield measurement(loaded, arm, condition, seed=seed, number=number)


def measurement(
    loaded: LoadedStudy, arm: Combination, condition: Combination, *, seed: int, number: int
) -> TrialSpec:
    """The trial that measures an arm under a condition, with a seed, in a round."""
    task: Task = loaded.tasks[arm.name, condition.name]
    return TrialSpec(
        purpose="measure",
        task=task.name,
        arm=arm.name,
        condition=condition.names,
        seed=seed,
        round=number,
        config=task.plain(),
    )

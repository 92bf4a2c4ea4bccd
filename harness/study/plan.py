"""From a study to its ordered trials: trainings, then checks, then rounds in an order that is random and recorded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.study.arms import Combination
from harness.study.load import LoadedStudy
from harness.study.trial import TrialSpec
from harness.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials of a study at one scale. `rounds[i]` holds round i + 1 in the order in which it is to run."""

    trainings: tuple[TrialSpec, ...]
    checks: tuple[TrialSpec, ...]
    rounds: tuple[tuple[TrialSpec, ...], ...]

    @property
    def trials(self) -> tuple[TrialSpec, ...]:
        return (*self.trainings, *self.checks, *(trial for trials in self.rounds for trial in trials))


def plan(loaded: LoadedStudy) -> Plan:
    """The trials of a study; equal studies have equal plans, order included."""
    rounds = loaded.study.design.rounds
    firsts = _firsts(loaded)
    return Plan(
        trainings=_trainings(loaded),
        checks=tuple(_checks(loaded)),
        rounds=tuple(tuple(_round(loaded, number, firsts)) for number in range(1, rounds + 1)),
    )


def _seeds(loaded: LoadedStudy) -> range:
    return range(loaded.study.design.seeds)


def _trainings(loaded: LoadedStudy) -> tuple[TrialSpec, ...]:
    """One training for each recipe and seed that any arm loads, however many share it."""
    specs: dict[str, TrialSpec] = {}
    for seed in _seeds(loaded):
        for task in loaded.tasks.values():
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


def _round(loaded: LoadedStudy, number: int, firsts: dict[tuple[int, str], list[int]]) -> Iterator[TrialSpec]:
    """Every arm once under every condition: conditions shuffled, arms shuffled within a condition."""
    order = random.Random(f"{loaded.study.design.order_seed}/{number}")
    cells = [(seed, condition) for seed in _seeds(loaded) for condition in loaded.conditions]
    order.shuffle(cells)
    for seed, condition in cells:
        arms = list(loaded.arms)
        first = arms.pop(firsts[seed, condition.name][number - 1])
        order.shuffle(arms)
        for arm in (first, *arms):
            yield measurement(loaded, arm, condition, seed=seed, number=number)


def _firsts(loaded: LoadedStudy) -> dict[tuple[int, str], list[int]]:
    """Which arm goes first in each round: each equally often, as far as the number of rounds allows, in random order."""
    rounds, count = loaded.study.design.rounds, len(loaded.arms)
    firsts = {}
    for seed in _seeds(loaded):
        for condition in loaded.conditions:
            order = random.Random(f"{loaded.study.design.order_seed}/{seed}/{condition.name}")
            arms = order.sample(range(count), count)
            turns = [arms[index % count] for index in range(rounds)]
            order.shuffle(turns)
            firsts[seed, condition.name] = turns
    return firsts


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

"""The trials of a study, one function per purpose, and their order within a round. `plan` puts the rounds in
order.

Within a round of a seed the conditions are shuffled, and the arms are shuffled under each condition, such
that every arm comes first equally often. Everything is drawn from the design's `order_seed`, and no draw
depends on the number of rounds. So a study that goes on for longer runs its first rounds in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.tasks.base import Task
from harness.trial.spec import TrialSpec


def training_trials(trials: Iterable[tuple[Task, int]]) -> tuple[TrialSpec, ...]:
    """The trainings of the models that these tasks load with these seeds, without repetitions."""
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


def check_trials(loaded: LoadedStudy) -> Iterator[TrialSpec]:
    """One trial per invariant and arm, with the configs of all conditions."""
    for invariant in loaded.study.invariants:
        for arm in loaded.arms:
            configs: list[dict[str, Any]] = []
            for condition in loaded.conditions:
                config = loaded.tasks[arm.name, condition.name].plain()
                if config not in configs:
                    configs.append(config)
            yield TrialSpec(
                purpose="check",
                task=invariant,
                arm=arm.name,
                condition={},
                seed=0,
                round=0,
                config={"task": loaded.study.task, "configs": configs},
            )


def round_trials(loaded: LoadedStudy, number: int, seed: int) -> Iterator[TrialSpec]:
    """A round of one seed: every arm once under every condition, in random order."""
    index = (number - 1) * loaded.study.design.seeds + seed
    for condition in _condition_order(loaded, index):
        for arm in _arm_order(loaded, condition, index):
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


def _condition_order(loaded: LoadedStudy, index: int) -> list[Combination]:
    """The conditions of the round with this index, which counts the rounds of all seeds from 0."""
    order = random.Random(f"{loaded.study.design.order_seed}/{index}")
    return order.sample(loaded.conditions, len(loaded.conditions))


def _arm_order(loaded: LoadedStudy, condition: Combination, index: int) -> list[Combination]:
    """The arms under a condition of that round. Of as many rounds as there are arms, each arm begins one."""
    arms = list(loaded.arms)
    cycle, turn = divmod(index, len(arms))
    name = f"{loaded.study.design.order_seed}/{condition.name}"
    first = random.Random(f"{name}/cycle {cycle}").sample(range(len(arms)), len(arms))[turn]
    others = arms[:first] + arms[first + 1 :]
    return [arms[first], *random.Random(f"{name}/{index}").sample(others, len(others))]

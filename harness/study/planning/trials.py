"""The trials of a study, one function a purpose; `plan` puts them in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.planning.order import arm_order, condition_order
from harness.tasks.base import Task
from harness.trial.spec import TrialSpec


def training_trials(trials: Iterable[tuple[Task, int]]) -> tuple[TrialSpec, ...]:
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


def check_trials(loaded: LoadedStudy) -> Iterator[TrialSpec]:
    """Each invariant once an arm, on the configs of all its conditions."""
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
    """A round of one seed: every arm once under every condition, in the order that is drawn for it."""
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

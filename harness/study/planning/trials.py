"""The trials of a study, one function per purpose. `plan` puts the rounds in order, and the order within a
round is that of a serially balanced sequence (`harness.study.planning.sequence`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.metrics import metric
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.planning.sequence import Sequence, balanced_sequence
from harness.study.seeds import generator_seed
from harness.tasks.base import Task
from harness.tasks.registry import task_class
from harness.trial.spec import TrialSpec


def training_trials(trials: Iterable[tuple[Task, int, int | None]]) -> tuple[TrialSpec, ...]:
    """The trainings of the models that these tasks load, without repetitions. Each task comes with the index
    of a seed and with the seed of the generators, which is None if it is the index.
    """
    specs: dict[str, TrialSpec] = {}
    for task, seed, generator in trials:
        for training in task.trainings():
            spec = TrialSpec(
                purpose="train",
                task=training.name,
                arm="",
                condition={},
                seed=seed,
                round=0,
                config=training.plain(),
                generator_seed=generator,
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
    """A round of one seed: every arm once under every condition, in the order of the sequence."""
    for block in _sequence(loaded).round(_round_index(loaded, number, seed)):
        for arm in block.arms:
            condition = loaded.conditions[block.condition]
            yield measurement(loaded, loaded.arms[arm], condition, seed=seed, number=number)


def lead_in(loaded: LoadedStudy, number: int, seed: int) -> TrialSpec | None:
    """The trial that opens a round, so that the first place of a round is like every other. It has the arm
    that the sequence has before the round, under the condition with which the round begins.

    None if no claim and no primary metric of the study is timed.
    """
    if not is_timed(loaded):
        return None
    first = next(round_trials(loaded, number, seed))
    task = task_class(first.task).read(first.config)
    return first.model_copy(update={"purpose": "lead-in", "config": task.lead_in().plain()})


def keeps_begun_rounds(loaded: LoadedStudy) -> bool:
    """Whether a round of which a value was measured is never run again: who saw a bad value could otherwise
    interrupt the round. Trainings repeat their results, and an exploratory study has no verdicts.
    """
    return is_timed(loaded) and not loaded.study.design.exploratory


def replaces_disturbed_rounds(loaded: LoadedStudy) -> bool:
    """Whether a round that was disturbed from outside does not count."""
    return keeps_begun_rounds(loaded) and loaded.study.design.disturbed_rounds == "replace"


def is_timed(loaded: LoadedStudy) -> bool:
    """Whether the primary metric of the study, or a metric of one of its claims, is timed."""
    claimed = (getattr(claim, "metric", None) for claim in loaded.study.claims.values())
    return any(metric(name).timed for name in (loaded.study.primary, *claimed) if name)


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
        generator_seed=generator_seed(loaded.study.study, loaded.draw, seed),
    )


def _sequence(loaded: LoadedStudy) -> Sequence:
    return balanced_sequence(
        arms=len(loaded.arms), conditions=len(loaded.conditions), seed=loaded.study.design.order_seed
    )


def _round_index(loaded: LoadedStudy, number: int, seed: int) -> int:
    """The number of a round among the rounds of all seeds, from 0."""
    return (number - 1) * loaded.study.design.seeds + seed

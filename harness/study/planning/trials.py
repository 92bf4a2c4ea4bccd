"""The trials of a study, one function per purpose. `plan` puts the rounds in order, and the order within a
round is that of a serially balanced sequence (`harness.study.planning.sequence`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.metrics import metric
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.planning.sequence import balanced_sequence
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


class Rounds:
    """The rounds of a study. What all rounds share of a trial is made once, because rounds may be many."""

    def __init__(self, loaded: LoadedStudy) -> None:
        self._loaded = loaded
        self._timed = is_timed(loaded)
        self._first: dict[tuple[str, str], TrialSpec] = {}
        self._lead_ins: dict[tuple[str, str], dict[str, Any]] = {}

    def trials(self, number: int, seed: int) -> Iterator[TrialSpec]:
        """A round of one seed: every arm once under every condition, in the order of the sequence."""
        for arm, condition in self._order(number, seed):
            yield self.measurement(arm, condition, seed=seed, number=number)

    def lead_in(self, number: int, seed: int) -> TrialSpec | None:
        """The trial that opens a round, so that the first place of a round is like every other. It has the
        arm that the sequence has before the round, under the condition with which the round begins.

        None if no claim and no primary metric of the study is timed.
        """
        if not self._timed:
            return None
        arm, condition = next(self._order(number, seed))
        first = self.measurement(arm, condition, seed=seed, number=number)
        names = arm.name, condition.name
        if names not in self._lead_ins:
            self._lead_ins[names] = task_class(first.task).read(first.config).lead_in().plain()
        return first.model_copy(update={"purpose": "lead-in", "config": self._lead_ins[names]})

    def measurement(self, arm: Combination, condition: Combination, *, seed: int, number: int) -> TrialSpec:
        """The trial that measures an arm under a condition, with a seed, in a round."""
        loaded, names = self._loaded, (arm.name, condition.name)
        if names not in self._first:
            task = loaded.tasks[names]
            spec = TrialSpec(
                purpose="measure",
                task=task.name,
                arm=arm.name,
                condition=condition.names,
                seed=0,
                round=1,
                config=task.plain(),
            )
            _ = spec.config_key, spec.condition_key  # copies remember them too
            self._first[names] = spec
        drawn = generator_seed(loaded.study.study, loaded.draw, seed)
        return self._first[names].model_copy(update={"seed": seed, "round": number, "generator_seed": drawn})

    def _order(self, number: int, seed: int) -> Iterator[tuple[Combination, Combination]]:
        loaded, design = self._loaded, self._loaded.study.design
        sequence = balanced_sequence(
            arms=len(loaded.arms), conditions=len(loaded.conditions), seed=design.order_seed
        )
        for block in sequence.round((number - 1) * design.seeds + seed):
            for arm in block.arms:
                yield loaded.arms[arm], loaded.conditions[block.condition]


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

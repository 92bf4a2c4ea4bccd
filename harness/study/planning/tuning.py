"""Tuning: what each arm is tried with before it is measured, and which of it is chosen, on trials that decide
nothing else.

The same number of values for each arm, on seeds that no measurement uses; a training that diverges counts as
the worst of all. Chosen is the best median, and of equal ones the smallest value.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.errors import InputError, did_you_mean
from harness.metrics import metric
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.planning.results import Results
from harness.study.schema import Around, Scalar, Tune
from harness.study.tuned import Tried, TunedArm
from harness.tasks.base import Task
from harness.trial.spec import TrialSpec

FIRST_SEED = 1000
"""The seeds of tuning count from here; those of measurements end below it."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One combination of values of the settings that are tuned, and the task with it."""

    settings: Mapping[str, Scalar]
    task: Task


def tuning_grid(tune: Tune, task: Task) -> tuple[Candidate, ...]:
    """Every combination of the values that a task is tried with.

    Raises InputError where one is not possible.
    """
    document = task.plain()
    columns = [
        [(path, value) for value in _values(path, wanted, document)] for path, wanted in tune.grid.items()
    ]
    found = []
    for chosen in itertools.product(*columns):
        config = document
        for path, value in chosen:
            config = _with(config, path.split("."), value)
        try:
            found.append(Candidate(settings=dict(chosen), task=type(task).read(config)))
        except ValidationError as error:
            told = ", ".join(f"{path}={value}" for path, value in chosen)
            raise InputError(f"{told} is not possible: {error.errors()[0]['msg']}") from None
    return tuple(found)


def _values(path: str, wanted: Sequence[Scalar] | Around, document: dict[str, Any]) -> list[Scalar]:
    own = _leaf(path, document)
    if isinstance(wanted, Around):
        if isinstance(own, bool) or not isinstance(own, int | float) or own <= 0:
            raise InputError(f"{path} is {own!r}, and there is nothing around that", hint="list the values")
        powers = (position - (wanted.count - 1) / 2 for position in range(wanted.count))
        around = [float(f"{own * wanted.factor**power:.6g}") for power in powers]
        values: list[Scalar] = [*map(round, around)] if isinstance(own, int) else [*around]
    else:
        values = list(wanted)
    if len({(type(value), value) for value in values}) < len(values):
        raise InputError(f"{path} is to be tried twice with one value ({', '.join(map(str, values))})")
    return values


def _leaf(path: str, document: dict[str, Any]) -> Any:
    node: Any = document
    for key in path.split("."):
        if not isinstance(node, dict) or key not in node:
            raise InputError(f"has no setting {path!r}", hint=did_you_mean(path, _leaves(document)))
        node = node[key]
    return node


def _leaves(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, dict) and node:
        for key, inner in node.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path


def _with(document: dict[str, Any], keys: list[str], value: Scalar) -> dict[str, Any]:
    inner = value if len(keys) == 1 else _with(document[keys[0]], keys[1:], value)
    return {**document, keys[0]: inner}


def tuning_trials(
    loaded: LoadedStudy, tune: Tune, arm: Combination, condition: Combination
) -> list[list[TrialSpec]]:
    """The trials of each candidate of an arm under a condition, one a seed."""
    return [
        [
            TrialSpec(
                purpose="tune",
                task=candidate.task.name,
                arm=arm.name,
                condition=condition.names,
                seed=FIRST_SEED + seed,
                round=0,
                config=candidate.task.plain(),
            )
            for seed in range(tune.seeds)
        ]
        for candidate in tuning_grid(tune, loaded.tasks[arm.name, condition.name])
    ]


def tuned_arms(loaded: LoadedStudy, tune: Tune, results: Results) -> tuple[TunedArm, ...]:
    """What was chosen for each arm under each condition; empty until every trial of the tuning has ended."""
    found = []
    for arm in loaded.arms:
        for condition in loaded.conditions:
            grid = tuning_grid(tune, loaded.tasks[arm.name, condition.name])
            trials = tuning_trials(loaded, tune, arm, condition)
            tried = []
            for candidate, specs in zip(grid, trials, strict=True):
                if any(spec.id not in results for spec in specs):
                    return ()
                values = tuple(_worth(results[spec.id].values.get(tune.by), tune.by) for spec in specs)
                tried.append(Tried(settings=candidate.settings, values=values))
            chosen = best(tried, tune.by)
            found.append(
                TunedArm(
                    arm=arm.name,
                    condition=condition.names,
                    tried=tuple(tried),
                    chosen=chosen,
                    edges=tuple(_edges(tried, chosen)),
                )
            )
    return tuple(found)


def _worth(value: float | None, name: str) -> float:
    """What was not measured, or is not a number, is the worst of all."""
    if value is None or math.isnan(value):
        return math.inf if metric(name).better == "lower" else -math.inf
    return value


def best(tried: Sequence[Tried], by: str) -> Tried:
    """The lowest median of the metric `by` (the highest, where more is better); of equal ones the smallest
    values.
    """
    sign = 1.0 if metric(by).better == "lower" else -1.0
    return min(tried, key=lambda one: (sign * one.median, _small_first(one.settings)))


def _small_first(settings: Mapping[str, Scalar]) -> list[tuple[bool, float, str]]:
    """Numbers by their size, before everything else by its name."""
    return [
        (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, str(value))
        for value in settings.values()
    ]


def _edges(tried: Sequence[Tried], chosen: Tried) -> Iterator[str]:
    for path, value in chosen.settings.items():
        values = [one.settings[path] for one in tried]
        numbers = [number for number in values if isinstance(number, int | float)]
        if len(numbers) == len(values) and value in (min(numbers), max(numbers)):
            yield path


def edge_warnings(tuned: Sequence[TunedArm]) -> tuple[str, ...]:
    """What a reader must know before an arm is called worse: its best setting may lie outside of what was
    tried.
    """
    return tuple(
        f"{' '.join((found.arm, *(f'{factor}={level}' for factor, level in found.condition.items())))}: the best {path} that was "
        f"tried, {found.chosen.settings[path]}, is at the edge of the grid; its optimum may lie outside"
        for found in tuned
        for path in found.edges
    )

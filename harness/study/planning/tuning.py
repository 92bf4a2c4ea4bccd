"""Tuning: the settings that each arm is tried with before it is measured, the choice among them, and the
choice of the arms that are measured. The trials of tuning decide nothing else.

Every arm has the same number of candidates, on seeds that no measurement uses. A training that diverges
counts as the worst. The candidate with the best median is chosen, and of equal ones the one with the smallest
value.
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
from harness.study.dotted_paths import MISSING, leaves, value_at, with_value
from harness.study.levels import Scalar
from harness.study.loaded import LoadedStudy, Tried, TunedArm
from harness.study.planning.results import Results
from harness.study.schema import Around, Tune
from harness.study.seeds import FIRST_TUNING_SEED
from harness.tasks.base import Task
from harness.trial.spec import TrialSpec


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One combination of values of the tuned settings, and the task with these values."""

    settings: Mapping[str, Scalar]
    task: Task


def tuning_grid(tune: Tune, task: Task) -> tuple[Candidate, ...]:
    """Every combination of values with which a task is tuned. Raises InputError if one cannot be used."""
    document = task.plain()
    columns = [
        [(path, value) for value in _values(path, wanted, document)] for path, wanted in tune.grid.items()
    ]
    candidates = []
    for chosen in itertools.product(*columns):
        config = document
        for path, value in chosen:
            config = with_value(config, path, value)
        try:
            candidates.append(Candidate(settings=dict(chosen), task=type(task).read(config)))
        except ValidationError as error:
            settings = ", ".join(f"{path}={value}" for path, value in chosen)
            raise InputError(f"{settings} cannot be used: {error.errors()[0]['msg']}") from None
    return tuple(candidates)


def _values(path: str, wanted: Sequence[Scalar] | Around, document: dict[str, Any]) -> list[Scalar]:
    """The values of a setting: the listed ones, or values around the one that the task has."""
    centre = value_at(document, path)
    if centre is MISSING:
        raise InputError(
            f"there is no setting {path!r}",
            hint=did_you_mean(path, (known for known, _ in leaves(document))),
        )
    if isinstance(wanted, Around):
        if isinstance(centre, bool) or not isinstance(centre, int | float) or centre <= 0:
            raise InputError(
                f"{path} is {centre!r}, so values around it cannot be computed", hint="list the values"
            )
        powers = (position - (wanted.count - 1) / 2 for position in range(wanted.count))
        around = [float(f"{centre * wanted.factor**power:.6g}") for power in powers]
        values: list[Scalar] = [*map(round, around)] if isinstance(centre, int) else [*around]
    else:
        values = list(wanted)
    if len({(type(value), value) for value in values}) < len(values):
        raise InputError(f"{path} would be tried twice with the same value ({', '.join(map(str, values))})")
    return values


def tuning_trials(
    loaded: LoadedStudy, tune: Tune, arm: Combination, condition: Combination
) -> list[list[TrialSpec]]:
    """The trials of each candidate of an arm under a condition, one per seed."""
    return [
        [
            TrialSpec(
                purpose="tune",
                task=candidate.task.name,
                arm=arm.name,
                condition=condition.names,
                seed=FIRST_TUNING_SEED + seed,
                round=0,
                config=candidate.task.plain(),
            )
            for seed in range(tune.seeds)
        ]
        for candidate in tuning_grid(tune, loaded.tasks[arm.name, condition.name])
    ]


def tuned_arms(loaded: LoadedStudy, tune: Tune, results: Results) -> tuple[TunedArm, ...]:
    """What tuning chose for each arm under each condition. It is empty until every trial of the tuning has
    ended.
    """
    tuned = []
    for arm in loaded.arms:
        for condition in loaded.conditions:
            grid = tuning_grid(tune, loaded.tasks[arm.name, condition.name])
            trials = tuning_trials(loaded, tune, arm, condition)
            tried = []
            for candidate, specs in zip(grid, trials, strict=True):
                if any(spec.id not in results for spec in specs):
                    return ()
                values = tuple(_score(results[spec.id].values.get(tune.by), tune.by) for spec in specs)
                tried.append(Tried(settings=candidate.settings, values=values))
            chosen = best(tried, tune.by)
            tuned.append(
                TunedArm(
                    arm=arm.name,
                    condition=condition.names,
                    tried=tuple(tried),
                    chosen=chosen,
                    edges=tuple(_edges(tried, chosen)),
                )
            )
    return tuple(tuned)


def _score(value: float | None, name: str) -> float:
    """The value, or the worst possible one if it was not measured or is not a number."""
    if value is None or math.isnan(value):
        return math.inf if metric(name).better == "lower" else -math.inf
    return value


def best(tried: Sequence[Tried], by: str) -> Tried:
    """The candidate with the best median of the metric `by`. Of several, the one with the smallest values."""
    sign = 1.0 if metric(by).better == "lower" else -1.0
    return min(tried, key=lambda one: (sign * one.median, _smallest_first(one.settings)))


def _smallest_first(settings: Mapping[str, Scalar]) -> list[tuple[bool, float, str]]:
    """A key for sorting: numbers by size, then everything else by name."""
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
    """Warnings for arms whose best setting may lie outside of the grid, so that they look worse than they
    are.
    """
    return tuple(
        f"{' '.join((arm.arm, *(f'{factor}={level}' for factor, level in arm.condition.items())))}: "
        f"the best {path} that was tried, {arm.chosen.settings[path]}, is at the edge of the grid; "
        "its optimum may lie outside"
        for arm in tuned
        for path in arm.edges
    )


def required_arms(loaded: LoadedStudy) -> tuple[Combination, ...]:
    """The arms that are measured whatever tuning finds: the baseline, and every arm that a claim needs."""
    names = {loaded.baseline.name}
    for claim in loaded.study.claims.values():
        names.update(arm.name for arm in claim.required_arms(loaded.arms))
    return tuple(arm for arm in loaded.arms if arm.name in names)


def finalists(loaded: LoadedStudy, tune: Tune, tuned: Sequence[TunedArm]) -> tuple[Combination, ...]:
    """The arms that are measured, in the study's order: all of them, unless the study states a number. They
    are chosen by tuning alone, never by what is measured.

    Besides the required arms these are the ones with the best medians in tuning. The first ones come first
    among equal arms, and before anything was tuned.
    """
    if tune.finalists is None:
        return loaded.arms
    required = {arm.name for arm in required_arms(loaded)}
    sign = 1.0 if metric(tune.by).better == "lower" else -1.0
    medians = {arm.arm: sign * arm.chosen.median for arm in tuned}
    others = [arm for arm in loaded.arms if arm.name not in required]
    others.sort(key=lambda arm: medians.get(arm.name, 0.0))
    measured = required | {arm.name for arm in others[: tune.finalists - len(required)]}
    return tuple(arm for arm in loaded.arms if arm.name in measured)

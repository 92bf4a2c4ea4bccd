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

from harness.config import canonical_json
from harness.errors import InputError, did_you_mean
from harness.metrics import metric
from harness.study.arms import Combination
from harness.study.dotted_paths import MISSING, leaves, value_at, with_value
from harness.study.levels import Scalar
from harness.study.loaded import LoadedStudy, Tried, TunedArm
from harness.study.planning.results import Results, asked_trials
from harness.study.search import Parameter
from harness.study.seeds import FIRST_TUNING_SEED
from harness.study.space import Point, Space
from harness.study.tune import Around, Near, Tune, TuneSearch
from harness.tasks.base import Task
from harness.trial.spec import TrialSpec


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One combination of values of the tuned settings, and the task with these values."""

    settings: Mapping[str, Scalar]
    task: Task


def candidates(
    loaded: LoadedStudy, tune: Tune, cell: tuple[Combination, Combination], results: Results
) -> tuple[Candidate, ...]:
    """The candidates of an arm under a condition: all of a grid, or the points of a search that have been
    asked so far.
    """
    arm, condition = cell
    task = loaded.tasks[arm.name, condition.name]
    if tune.search is None:
        return tuning_grid(tune, task)
    asked: dict[str, Candidate] = {}
    for spec in asked_trials(results):
        if spec.arm == arm.name and spec.condition == condition.names:
            values = {path: value_at(spec.config, path) for path in tune.search.space}
            settings = {path: value for path, value in values.items() if value is not MISSING}
            candidate = Candidate(settings=settings, task=type(task).read(spec.config))
            asked.setdefault(canonical_json(settings), candidate)
    return tuple(asked.values())


def tuning_grid(tune: Tune, task: Task) -> tuple[Candidate, ...]:
    """Every combination of values with which a task is tuned. Raises InputError if one cannot be used."""
    document = task.plain()
    columns = [
        [(path, value) for value in _values(path, wanted, document)]
        for path, wanted in (tune.grid or {}).items()
    ]
    made = []
    for chosen in itertools.product(*columns):
        config = document
        for path, value in chosen:
            config = with_value(config, path, value)
        made.append(Candidate(settings=dict(chosen), task=_usable(type(task), config, dict(chosen))))
    return tuple(made)


def _values(path: str, wanted: Sequence[Scalar] | Around, document: dict[str, Any]) -> list[Scalar]:
    """The values of a setting: the listed ones, or values around the one that the task has."""
    present = _own_value(path, document)
    if isinstance(wanted, Around):
        centre = _positive(path, present, hint="list the values")
        powers = (position - (wanted.count - 1) / 2 for position in range(wanted.count))
        around = [float(f"{centre * wanted.factor**power:.6g}") for power in powers]
        values: list[Scalar] = [*map(round, around)] if isinstance(present, int) else [*around]
    else:
        values = list(wanted)
    if len({(type(value), value) for value in values}) < len(values):
        raise InputError(f"{path} would be tried twice with the same value ({', '.join(map(str, values))})")
    return values


def extreme_candidates(tune: Tune, task: Task) -> tuple[Candidate, ...]:
    """All candidates of a grid, or the points at the ends of a space. Raises InputError if one cannot be
    used, if the points of the space are too few, or if it does not contain the task itself.
    """
    if tune.search is None:
        return tuning_grid(tune, task)
    space = tuning_space(tune.search, task)
    present = own_point(space, task)
    outside = next((name for name in space.parameters if name not in present), None)
    if outside is not None:
        raise InputError(
            f"{outside} is {value_at(task.plain(), outside)!r}, which is not in the space of its tuning",
            hint="widen the range, or use {factor: …} for a range near the value of each arm",
        )
    if space.size() < tune.search.points:
        raise InputError(f"the space has only {space.size():.0f} points, but {tune.search.points} are asked")
    return tuple(candidate_at(space, point, task) for point in space.checked_points(present))


def own_point(space: Space, task: Task) -> dict[str, Scalar]:
    """The values that a task has, as far as the space contains them."""
    document = task.plain()
    values = {name: value_at(document, name) for name in space.parameters}
    return {name: value for name, value in values.items() if space.contains(name, value)}


def candidate_at(space: Space, point: Point, task: Task) -> Candidate:
    """The task with the settings of a point. Raises InputError if it cannot be used."""
    document, settings = task.plain(), space.settings(point)
    for path, value in settings.items():
        document = with_value(document, path, value)
    return Candidate(settings=settings, task=_usable(type(task), document, settings))


def _usable(kind: type[Task], document: dict[str, Any], settings: Mapping[str, Scalar]) -> Task:
    try:
        return kind.read(document)
    except ValidationError as error:
        chosen = ", ".join(f"{path}={value}" for path, value in settings.items())
        raise InputError(f"{chosen} cannot be used: {error.errors()[0]['msg']}") from None


def _own_value(path: str, document: dict[str, Any]) -> Any:
    """The value of a setting. Raises InputError if there is no such setting."""
    present = value_at(document, path)
    if present is MISSING:
        raise InputError(
            f"there is no setting {path!r}",
            hint=did_you_mean(path, (known for known, _ in leaves(document))),
        )
    return present


def _positive(path: str, present: Any, *, hint: str) -> int | float:
    """The value of a setting, around which others can be computed. Raises InputError if it is no number."""
    if isinstance(present, bool) or not isinstance(present, int | float) or present <= 0:
        raise InputError(f"{path} is {present!r}, so values around it cannot be computed", hint=hint)
    return present


def tuning_trials(tune: Tune, cell: tuple[Combination, Combination], candidate: Task) -> list[TrialSpec]:
    """The trials of a candidate of an arm under a condition, one per seed."""
    arm, condition = cell
    return [
        TrialSpec(
            purpose="tune",
            task=candidate.name,
            arm=arm.name,
            condition=condition.names,
            seed=FIRST_TUNING_SEED + seed,
            round=0,
            config=candidate.plain(),
        )
        for seed in range(tune.seeds)
    ]


def tuned_arms(loaded: LoadedStudy, tune: Tune, results: Results) -> tuple[TunedArm, ...]:
    """What tuning chose for each arm under each condition. It is empty until every trial of the tuning has
    ended.
    """
    tuned = []
    for arm in loaded.arms:
        for condition in loaded.conditions:
            tried = tried_so_far(loaded, tune, (arm, condition), results)
            if tried is None or (tune.search is not None and len(tried) < tune.search.points):
                return ()
            chosen = best(tried, tune.by)
            task = loaded.tasks[arm.name, condition.name]
            tuned.append(
                TunedArm(
                    arm=arm.name,
                    condition=condition.names,
                    tried=tuple(tried),
                    chosen=chosen,
                    edges=tuple(_edges(tune, task, tried, chosen)),
                )
            )
    return tuple(tuned)


def tried_so_far(
    loaded: LoadedStudy, tune: Tune, cell: tuple[Combination, Combination], results: Results
) -> list[Tried] | None:
    """The candidates of an arm under a condition with their results, or None if a trial of one of them has
    not finished.
    """
    tried = []
    for candidate in candidates(loaded, tune, cell, results):
        specs = tuning_trials(tune, cell, candidate.task)
        if any(spec.id not in results for spec in specs):
            return None
        values = tuple(_score(results[spec.id].values.get(tune.by), tune.by) for spec in specs)
        tried.append(Tried(settings=candidate.settings, values=values))
    return tried


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


def _edges(tune: Tune, task: Task, tried: Sequence[Tried], chosen: Tried) -> Iterator[str]:
    """The settings that are numbers whose best value is the smallest or the largest of a grid, or near an end
    of what a search could ask.
    """
    if tune.search is not None:
        yield from tuning_space(tune.search, task).near_ends(chosen.settings)
        return
    for path, value in chosen.settings.items():
        values = [one.settings[path] for one in tried]
        numbers = [number for number in values if isinstance(number, int | float)]
        if len(numbers) == len(values) and value in (min(numbers), max(numbers)):
            yield path


def tuning_space(search: TuneSearch, task: Task) -> Space:
    """The space in which an arm is tuned. Raises InputError if an arm has no value of its own for a range
    that is near it.
    """
    document = task.plain()
    return Space.around({path: _range(path, wanted, document) for path, wanted in search.space.items()}, task)


def _range(path: str, wanted: Parameter | Near, document: dict[str, Any]) -> Parameter:
    present = _own_value(path, document)
    if isinstance(wanted, Parameter):
        return wanted
    centre = _positive(path, present, hint="give `low` and `high`")
    low, high = (float(f"{end:.6g}") for end in (centre / wanted.factor, centre * wanted.factor))
    if isinstance(present, int):
        return Parameter(low=max(1, round(low)), high=round(high), log=True)
    return Parameter(low=low, high=high, log=True)


def edge_warnings(loaded: LoadedStudy) -> tuple[str, ...]:
    """Warnings for arms whose best setting may lie outside of the grid, so that they look worse than they
    are.
    """
    names = loaded.names
    return tuple(
        f"{names.trial((), arm.arm, arm.condition)}: the best {names.factor(path)} that was tried, "
        f"{arm.chosen.settings[path]}, is at the edge of what could be tried; its optimum may lie outside"
        for arm in loaded.tuned
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

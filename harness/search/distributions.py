"""The parameters of a space as Optuna knows them. A choice is known by its name, so that `1` and `true` are
different.
"""

from __future__ import annotations

from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from harness.study.levels import Scalar, level_name
from harness.study.space import Point, Space, as_written


def distribution(space: Space, name: str) -> BaseDistribution:
    """The values of a parameter. Choices keep their order, so that they are the same in every session."""
    parameter = space.parameters[name]
    if parameter.choices is not None:
        return CategoricalDistribution([level_name(choice) for choice in parameter.choices])
    low, high = space.ends(name)
    if space.kinds[name] == "int":
        return IntDistribution(int(low), int(high), log=parameter.log, step=int(parameter.step or 1))
    return FloatDistribution(float(low), float(high), log=parameter.log, step=parameter.step)


def distributions_at(space: Space, point: Point) -> dict[str, BaseDistribution]:
    """Those of the parameters that a point has."""
    return {name: distribution(space, name) for name in space.parameters if name in point}


def suggested_point(space: Space, trial: Trial) -> dict[str, Scalar]:
    """The point that a trial of Optuna gets: a value for each parameter that exists, in their order."""
    point: dict[str, Scalar] = {}
    for name in space.parameters:
        if space.exists(name, point):
            point[name] = _value(space, name, _suggested(space, name, trial))
    return point


def _suggested(space: Space, name: str, trial: Trial) -> Any:
    match distribution(space, name):
        case CategoricalDistribution() as choices:
            return trial.suggest_categorical(name, choices.choices)
        case IntDistribution() as integers:
            return trial.suggest_int(name, integers.low, integers.high, log=integers.log, step=integers.step)
        case FloatDistribution() as reals:
            return trial.suggest_float(name, reals.low, reals.high, log=reals.log, step=reals.step)
        case other:
            raise AssertionError(other)


def params_of(space: Space, point: Point) -> dict[str, Any]:
    """The values of a point as Optuna knows them."""
    return {
        name: level_name(point[name]) if space.kinds[name] == "choice" else point[name]
        for name in space.parameters
        if name in point
    }


def values_of(space: Space, params: dict[str, Any]) -> dict[str, Scalar]:
    """The point with these values of Optuna: parameters that do not exist there are left out."""
    point: dict[str, Scalar] = {}
    for name in space.parameters:
        if name in params and space.exists(name, point):
            point[name] = _value(space, name, params[name])
    return point


def _value(space: Space, name: str, value: Any) -> Scalar:
    """The value that Optuna's value stands for. Its third step of 0.1 is 0.30000000000000004."""
    if space.kinds[name] == "choice":
        return space.read({name: value})[name]
    if space.kinds[name] == "float" and space.parameters[name].step is not None:
        return as_written(value)
    known: Scalar = value
    return known

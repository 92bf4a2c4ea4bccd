"""The parameters of a space as Optuna knows them."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from harness.study.levels import Scalar
from harness.study.space import Point, Space, choice_value


def distribution(space: Space, name: str) -> BaseDistribution:
    """The values of a parameter. Choices keep their order, so that they are the same in every session."""
    parameter = space.parameters[name]
    if parameter.choices is not None:
        return CategoricalDistribution([choice_value(choice) for choice in parameter.choices])
    low, high = space.ends(name)
    if space.kinds[name] == "int":
        return IntDistribution(int(low), int(high), log=parameter.log, step=int(parameter.step or 1))
    return FloatDistribution(float(low), float(high), log=parameter.log, step=parameter.step)


def suggested(space: Space, name: str, trial: Trial) -> Scalar:
    """The value that a trial of Optuna gets for a parameter."""
    match distribution(space, name):
        case CategoricalDistribution() as choices:
            return trial.suggest_categorical(name, choices.choices)
        case IntDistribution() as whole:
            return trial.suggest_int(name, whole.low, whole.high, log=whole.log, step=whole.step)
        case FloatDistribution() as real:
            return trial.suggest_float(name, real.low, real.high, log=real.log, step=real.step)
        case other:
            raise AssertionError(other)


def distributions_at(space: Space, point: Point) -> dict[str, BaseDistribution]:
    """Those of the parameters that a point has."""
    return {name: distribution(space, name) for name in space.parameters if name in point}


def values_of(space: Space, params: dict[str, Scalar]) -> dict[str, Scalar]:
    """The point with these values of Optuna: parameters that do not exist there are left out."""
    point: dict[str, Scalar] = {}
    for name in space.parameters:
        if name in params and space.exists(name, point):
            point[name] = params[name]
    return point

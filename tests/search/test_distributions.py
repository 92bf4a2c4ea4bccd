"""Points as Optuna knows them and back."""

from __future__ import annotations

import optuna
import pytest
from optuna.samplers import RandomSampler

from harness.search.distributions import distributions_at, params_of, suggested_point, values_of
from harness.study.levels import Scalar
from harness.study.search import Parameter
from harness.study.space import Space
from harness.tasks.train import Train
from tests.support.tiny_study import recipe

SPACE = Space.around(
    {
        "clip": Parameter(low=0.1, high=0.7, step=0.1),
        "optimizer.lr": Parameter(low=1e-5, high=1e-1, log=True),
        "schedule.warmup": Parameter(low=1, high=64, log=True),
        "odd": Parameter(choices=(None, True, 1, 1.5, "text")),
        "compile": Parameter(choices=(False, True)),
        "bound": Parameter(choices=({"a": {"x": 1}}, {"b": {"x": 2}}), when={"compile": True}),
    },
    Train.read(recipe()),
)


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=RandomSampler(seed=0))


def test_what_optuna_suggests_is_a_point_of_the_space(study: optuna.Study) -> None:
    chosen: dict[str, set[tuple[type, object]]] = {name: set() for name in SPACE.parameters}
    for _ in range(200):
        trial = study.ask()
        point = suggested_point(SPACE, trial)
        assert SPACE.is_complete(point)
        assert all(SPACE.contains(name, value) for name, value in point.items())
        assert values_of(SPACE, trial.params) == point
        assert ("bound" in point) == (point["compile"] is True)
        assert distributions_at(SPACE, point).keys() == point.keys()
        for name, value in point.items():
            chosen[name].add((type(value), value))
    assert chosen["odd"] == {(type(one), one) for one in (None, True, 1, 1.5, "text")}
    assert {value for _, value in chosen["clip"]} == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}


def test_a_point_that_is_enqueued_comes_back_as_it_was(study: optuna.Study) -> None:
    point: dict[str, Scalar] = {
        "clip": 0.3,
        "optimizer.lr": 0.1 + 0.2 - 0.21,
        "schedule.warmup": 7,
        "odd": None,
        "compile": True,
        "bound": "b",
    }
    study.enqueue_trial(params_of(SPACE, point))
    assert suggested_point(SPACE, study.ask()) == point
    assert values_of(SPACE, study.trials[0].params) == point

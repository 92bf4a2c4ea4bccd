"""What follows from the points of a search, against the definitions."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics import metric
from harness.search.findings import SearchFindings, expected_best, front
from harness.search.points import SearchedPoint
from harness.statistics import Interval, pareto
from tests.support.made_up_search import LR, MIXED, made_up_search, searched_point

LOSS, SPEED = metric("validation_loss"), metric("training_tokens_per_second")
COSTS = st.lists(st.one_of(st.integers(-20, 20).map(float), st.just(math.inf)), min_size=1, max_size=7)


@given(COSTS)
def test_the_expected_best_is_the_mean_of_the_best_over_all_subsets(costs: list[float]) -> None:
    finite = [cost for cost in costs if math.isfinite(cost)]
    if not finite:
        assert expected_best(costs) == ()
        return
    counted = [min(cost, max(finite)) for cost in costs]
    every = [
        statistics.fmean(min(chosen) for chosen in itertools.combinations(counted, draws))
        for draws in range(1, len(counted) + 1)
    ]
    assert expected_best(costs) == pytest.approx(every)


def test_the_expected_best_of_many_points_is_exact_and_fast() -> None:
    """Of the numbers from 1 to n, the expected smallest of d is (n + 1) ÷ (d + 1)."""
    curve = expected_best([float(number) for number in range(3000, 0, -1)])
    assert curve == pytest.approx([3001 / (draws + 1) for draws in range(1, 3001)])


def searched(values: Mapping[int, float], *, higher: bool = False, points: int = 6) -> SearchFindings:
    """A search whose points have these values, or failed."""
    name = SPEED.name if higher else LOSS.name
    numbers = iter(sorted(values))
    return made_up_search(
        LR,
        lambda _: [values[next(numbers)]],
        objectives=[name],
        points=points,
        ended={number: ("failed", "it broke") for number in range(points) if number not in values},
    )


def test_the_best_so_far_begins_with_the_first_value() -> None:
    values = {1: 3.0, 3: 1.0, 4: 7.0}
    for higher, best in ((False, [3.0, 3.0, 1.0, 1.0, 1.0]), (True, [3.0, 3.0, 3.0, 7.0, 7.0])):
        search = searched(values, higher=higher)
        assert search.best_so_far(search.objectives[0]) == pytest.approx([math.nan, *best], nan_ok=True)


def test_a_divergence_is_ranked_last_and_never_proven() -> None:
    search = searched({0: 2.0, 1: math.inf, 2: 1.5, 3: math.inf, 4: 4.0, 5: 3.0})
    assert [point.number for point in search.ranked] == [2, 0, 5, 4]
    assert [point.state for point in search.points].count("diverged") == 2
    assert {level: point.number for level, point in search.best.items()} == {"best": 2}
    assert search.expected_best(LOSS)[0] == pytest.approx((2.0 + 1.5 + 3 * 4.0 + 3.0) / 6)


def test_the_point_where_the_search_began_is_never_proven() -> None:
    search = searched({0: 1.0, 1: 3.0, 2: 2.0, 3: 5.0, 4: 5.0, 5: 5.0})
    assert search.ranked[0].number == 0
    assert search.best["best"].number == 2
    assert searched({0: 1.0}).best == {}


def points_with(values: Sequence[tuple[float, float]]) -> list[SearchedPoint]:
    return [
        searched_point(number, {}, {LOSS.name: (loss,), SPEED.name: (speed,)})
        for number, (loss, speed) in enumerate(values)
    ]


@given(st.lists(st.tuples(st.integers(0, 5).map(float), st.integers(0, 5).map(float)), min_size=1))
def test_the_front_is_the_pareto_front_of_exact_values(values: list[tuple[float, float]]) -> None:
    objectives, points = (LOSS, SPEED), points_with(values)
    ends = {
        str(point.number): {
            one.name: Interval(point.median(one), point.median(one), 0.95) for one in objectives
        }
        for point in points
    }
    expected = pareto(ends, {LOSS.name: "lower", SPEED.name: "higher"}).front
    assert [str(point.number) for point in front(points, objectives)] == list(expected)


def test_the_finalists_are_the_best_of_each_objective_and_then_others_of_the_front() -> None:
    values = iter([(5.0, 5.0), (4.0, 8.0), (1.0, 1.0), (3.0, 7.0), (9.0, 9.0), (8.0, 2.0)])
    search = made_up_search(
        LR, lambda _: next(values), objectives=[LOSS.name, SPEED.name], points=6, finalists=3
    )
    assert [point.number for point in search.front] == [1, 2, 3, 4]
    assert {level: point.number for level, point in search.best.items()} == {
        "best_1": 2,
        "best_2": 4,
        "best_3": 1,
    }


def test_the_frame_has_whole_numbers_and_no_value_where_a_parameter_does_not_exist() -> None:
    space = {
        "optimizer": {"choices": ["adamw", "sgd"]},
        "steps": {"low": 1, "high": 9, "when": {"optimizer": "sgd"}},
    }
    search = made_up_search(space, lambda _: [1.5], points=12, ended={3: ("pruned", "given up")})
    frame = search.frame()
    assert list(frame) == ["point", "state", "optimizer", "steps", "validation_loss", "seconds", "reason"]
    assert frame["point"].tolist() == list(range(12))
    assert (frame["steps"].isna() == (frame["optimizer"] == "adamw")).all()
    assert 0 < frame["steps"].isna().sum() < 12
    assert str(frame["steps"].dtype) == "Int64"
    assert (frame["state"][3], frame["reason"][3]) == ("pruned", "given up")
    assert frame["validation_loss"].isna().tolist() == [number == 3 for number in range(12)]


def test_the_frame_has_the_values_of_every_kind_of_parameter() -> None:
    search = made_up_search(MIXED, lambda _: [1.0], points=20)
    frame = search.frame()
    assert set(frame["model.tied"]) == {True, False}
    assert set(frame["optimizer"]) == {"adamw", "sgd"}
    assert frame["optimizer.lr"].between(1e-4, 0.1).all()

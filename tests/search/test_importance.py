"""How much each parameter matters, on problems in which it is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.search.importance import importance
from tests.support.made_up_search import LR, MIXED, made_up_search

TWO = {"a": {"low": 0.0, "high": 1.0}, "b": {"low": 0.0, "high": 1.0}}


def test_the_parameter_that_decides_has_nearly_the_whole_share() -> None:
    search = made_up_search(TWO, lambda point: [1 + (point["b"] - 0.3) ** 2], points=80)
    shares = importance(search, search.objectives[0])
    assert shares is not None
    assert list(shares) == ["a", "b"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["b"] > 0.8


def test_a_higher_value_can_be_better() -> None:
    search = made_up_search(
        TWO, lambda point: [100 * point["a"]], objectives=["training_tokens_per_second"], points=80
    )
    shares = importance(search, search.objectives[0])
    assert shares is not None
    assert shares["a"] > 0.8


def test_only_the_order_counts_and_points_that_diverged_are_the_worst() -> None:
    def value(point: Any) -> float:
        return float(1 + point["b"])

    plain = made_up_search(TWO, lambda point: [value(point)], points=60)
    stretched = made_up_search(TWO, lambda point: [math.exp(9 * value(point))], points=60)
    diverged = made_up_search(TWO, lambda point: [math.inf if point["b"] > 0.9 else value(point)], points=60)
    objective = plain.objectives[0]
    assert importance(plain, objective) == importance(stretched, objective) == importance(diverged, objective)


def test_conditional_parameters_and_choices_have_shares() -> None:
    def value(point: Any) -> list[float]:
        return [3.0 if point["optimizer"] == "adamw" else 2 + abs(point["optimizer.momentum"] - 0.9)]

    search = made_up_search(MIXED, value, points=150)
    shares = importance(search, search.objectives[0])
    assert shares is not None
    assert list(shares) == list(MIXED)
    # The best quarter has one optimizer and a narrow range of its momentum.
    assert shares["optimizer"] + shares["optimizer.momentum"] > 0.8


def test_it_is_the_same_every_time() -> None:
    search = made_up_search(MIXED, lambda point: [point["batch"] + point["optimizer.lr"]], points=50)
    assert importance(search, search.objectives[0]) == importance(search, search.objectives[0])


def test_it_cannot_be_computed_without_two_points_of_which_one_is_better() -> None:
    equal = made_up_search(TWO, lambda _: [2.5], points=30)
    single = made_up_search(TWO, lambda _: [2.5], points=2, ended={1: ("failed", "broken")})
    none = made_up_search(LR, lambda _: [2.5], points=2, ended=dict.fromkeys((0, 1), ("open", "")))
    for search in (equal, single, none):
        assert importance(search, search.objectives[0]) is None

"""The Pareto front against brute force on points, and what intervals take from domination."""

import math

import numpy as np
import pytest

from harness.statistics import Interval, pareto
from harness.statistics.pareto import Objectives

QUALITY_SPEED: Objectives = {"bleu": "higher", "seconds": "lower"}


def span(low: float, high: float) -> Interval:
    return Interval(low, high, 0.95)


def exact(value: float) -> Interval:
    return span(value, value)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_front_of_points_agrees_with_brute_force(k: int) -> None:
    rng = np.random.default_rng(k)
    values = rng.integers(0, 5, (30, k))  # with ties
    objectives: Objectives = {str(j): "higher" if j % 2 else "lower" for j in range(k)}
    signs = np.array([1 if j % 2 else -1 for j in range(k)])
    points = {str(i): {str(j): exact(float(row[j])) for j in range(k)} for i, row in enumerate(values)}
    good = values * signs
    expected = {
        str(i): tuple(str(j) for j in range(30) if (good[j] >= good[i]).all() and (good[j] > good[i]).any())
        for i in range(30)
    }
    result = pareto(points, objectives)
    assert result.dominated == {name: by for name, by in expected.items() if by}
    assert result.front == tuple(name for name, by in expected.items() if not by)


def test_overlapping_intervals_dominate_nothing() -> None:
    points = {
        "greedy": {"bleu": span(30, 32), "seconds": span(1.0, 1.1)},
        "beam": {"bleu": span(31, 33), "seconds": span(4.0, 4.4)},
        "slow beam": {"bleu": span(31, 33), "seconds": span(9.0, 9.9)},
        "noise": {"bleu": span(2, 3), "seconds": span(4.5, 4.6)},
    }
    result = pareto(points, QUALITY_SPEED)
    assert result.front == ("greedy", "beam", "slow beam")  # it may be as good as it is slow
    assert result.dominated == {"noise": ("greedy", "beam")}


def test_an_exact_tie_in_one_objective_lets_the_other_decide() -> None:
    points = {
        "a": {"bleu": span(30, 31), "bytes": exact(64)},
        "b": {"bleu": span(20, 21), "bytes": exact(64)},
        "c": {"bleu": span(20, 21), "bytes": exact(63)},
    }
    assert pareto(points, {"bleu": "higher", "bytes": "lower"}).dominated == {"b": ("a",)}
    equal = {name: {"bytes": exact(64)} for name in "ab"}
    assert pareto(equal, {"bytes": "lower"}).front == ("a", "b")


def test_turning_an_objective_round_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    lows = rng.uniform(1, 10, (12, 2))
    points = {str(i): {"q": span(a, a + 1), "s": span(b, b * 1.2)} for i, (a, b) in enumerate(lows)}
    rates = {n: {"q": p["q"], "s": span(1 / p["s"].high, 1 / p["s"].low)} for n, p in points.items()}
    assert pareto(points, {"q": "higher", "s": "lower"}) == pareto(rates, {"q": "higher", "s": "higher"})


def test_what_nothing_is_known_of_is_never_dominated() -> None:
    unknown = {"bleu": span(-math.inf, math.inf), "seconds": exact(99.0)}
    result = pareto({"a": {"bleu": exact(99.0), "seconds": exact(0.1)}, "b": unknown}, QUALITY_SPEED)
    assert result.front == ("a", "b")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({}, "needs points"),
        ({"a": {"bleu": exact(1.0)}}, r"a has the objectives \['bleu'\]"),
        ({"a": {"bleu": exact(math.nan), "seconds": exact(1.0)}}, "bleu of a is not an interval"),
        ({"a": {"bleu": span(2, 1), "seconds": exact(1.0)}}, "2 to 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(points: dict[str, dict[str, Interval]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pareto(points, QUALITY_SPEED)

"""What a search saw, beside what its proof says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.metrics import metric
from harness.report.shrinkage import Shrinkage, effect, shrinkages
from harness.search.findings import SearchFindings
from tests.support.made_up_search import LR, made_up_search, report_of_search

LOSS, SPEED, BLEU = map(metric, ("validation_loss", "training_tokens_per_second", "bleu"))


def searched(before: float, best: float, name: str = LOSS.name) -> SearchFindings:
    values = iter([before, best])
    return made_up_search(LR, lambda _: [next(values)], objectives=[name], points=2)


def shrunk(search: SearchFindings, proof: tuple[float, float, float] | None) -> Shrinkage:
    report = report_of_search(search, **{search.objectives[0].name: proof})
    (one,) = shrinkages(search, report.loaded, report.analysis.contrasts)
    return one


@pytest.mark.parametrize(
    ("name", "before", "best", "seen", "gain"),
    [
        (LOSS.name, 4.0, 3.0, 0.75, 0.25),
        (LOSS.name, 4.0, 5.0, 1.25, -0.25),
        (SPEED.name, 100.0, 150.0, 1.5, 0.5),
        (BLEU.name, 20.0, 23.0, 3.0, 3.0),
    ],
)
def test_a_gain_is_positive_where_the_point_is_better(
    name: str, before: float, best: float, seen: float, gain: float
) -> None:
    one = shrunk(searched(before, best, name), None)
    assert one.seen == pytest.approx(seen)
    assert one.gain(one.seen) == pytest.approx(gain)
    assert one.proven_gain is None


def test_the_interval_of_a_gain_has_its_smaller_end_first() -> None:
    one = shrunk(searched(4.0, 3.0), (0.9, 0.8, 1.05))
    assert one.proven_gain == pytest.approx((0.1, -0.05, 0.2))
    one = shrunk(searched(100.0, 150.0, SPEED.name), (1.2, 1.1, 1.3))
    assert one.proven_gain == pytest.approx((0.2, 0.1, 0.3))


@pytest.mark.parametrize("before", [math.inf, 0.0])
def test_there_is_no_ratio_to_a_training_that_diverged_or_to_zero(before: float) -> None:
    assert math.isnan(shrunk(searched(before, 3.0), (0.9, 0.8, 1.05)).seen)


def test_an_arm_without_a_value_has_no_effect_in_the_search() -> None:
    search = searched(4.0, 3.0)
    first = replace(search.points[0], state="pruned")
    assert math.isnan(shrunk(replace(search, points=(first, search.points[1])), (0.9, 0.8, 1.05)).seen)


def test_differences_have_no_problem_with_zero() -> None:
    assert effect(2.0, 0.0, BLEU) == 2.0
    assert math.isnan(effect(2.0, 0.0, LOSS))

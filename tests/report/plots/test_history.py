"""The history of a search: improvements, and what fewer points would have found."""

from __future__ import annotations

import math

import pytest

from harness.metrics import metric
from harness.report.plots import history as module
from harness.report.plots.history import History, history
from tests.support.made_up_search import LR, made_up_search

LOSS = metric("validation_loss")


def history_of(values: list[float], failed: int = 0) -> History | None:
    left = iter(values)
    count = len(values) + failed
    ended = dict.fromkeys(range(failed), ("failed", "broken"))
    search = made_up_search(LR, lambda _: [next(left)], points=count, ended=ended)  # type: ignore[arg-type]
    return history(search, LOSS)


def test_the_best_changes_at_each_improvement_and_goes_on_to_the_end() -> None:
    info = history_of([5.0, 4.0, 4.5, 3.0, 3.0], failed=1)
    assert info is not None
    assert info.best == ((2, 5.0), (3, 4.0), (5, 3.0), (6, 3.0))
    assert info.left_out == 1
    assert [count for count, _ in info.expected] == [1, 2, 3, 4, 5]
    assert info.expected[0][1] == pytest.approx(3.9)
    assert info.expected[-1][1] == pytest.approx(3.0)


def test_the_curves_end_where_the_axis_ends() -> None:
    info = history_of([1e9, 2.0, 2.1, 2.2, 2.3, 2.4])
    assert info is not None
    end = info.points[0].y
    assert end < 3
    assert info.best[0] == (1, end)
    assert info.expected[0] == (1, end)
    assert info.points[0].edge == "^"


def test_of_many_points_few_places_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STEPS", 10)
    info = history_of([float(value) for value in range(104, 0, -1)])
    assert info is not None
    assert [count for count, _ in info.expected] == [*range(1, 104, 11), 104]


def test_nothing_finite_has_no_history() -> None:
    assert history_of([math.inf, math.inf]) is None

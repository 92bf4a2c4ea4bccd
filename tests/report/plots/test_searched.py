"""Which points the figures of a search draw, and where."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from harness.metrics import metric
from harness.report.plots import searched
from harness.report.plots.searched import axis_end, drawn_points, roles_of
from harness.report.plots.style import decade_axis, panel
from tests.support.made_up_search import LR, made_up_search

LOSS, SPEED = metric("validation_loss"), metric("training_tokens_per_second")


def test_the_axis_ends_where_the_worst_quarter_would_take_most_of_it() -> None:
    usual = [2.0, 2.1, 2.2, 2.3]
    assert axis_end(usual, LOSS) == 2.3
    assert axis_end([*usual, 2.5], LOSS) == 2.5
    assert axis_end([*usual, 900.0], LOSS) == pytest.approx(2.3 + 0.25 * 0.3)
    assert axis_end([*usual, math.inf], LOSS) == 2.3
    assert axis_end([900.0, 800.0, 700.0, 650.0, 1.0], SPEED) == pytest.approx(650 - 0.25 * 250)
    assert axis_end([3.0, 3.0, 3.0, 3.0, 9.0], LOSS) == 9.0
    assert math.isnan(axis_end([math.inf], LOSS))


def test_values_beyond_the_axis_and_divergences_lie_at_its_end() -> None:
    values = iter([2.0, 2.1, 900.0, math.inf, 2.2, 2.3])
    search = made_up_search(LR, lambda _: [next(values)], points=7, ended={5: ("failed", "broken")})
    drawn = drawn_points(search, LOSS)
    end = 2.3 + 0.25 * 0.3
    assert [one.order for one in drawn] == [1, 2, 3, 4, 5, 7]
    assert [one.at for one in drawn] == pytest.approx([2.0, 2.1, end, end, 2.2, 2.3])
    assert [(one.beyond, one.diverged) for one in drawn[2:4]] == [(True, False), (False, True)]


def test_special_points_are_drawn_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searched, "MOST_POINTS", 10)
    search = made_up_search(LR, lambda point: [1 + point["optimizer.lr"]], points=95)
    drawn = drawn_points(search, LOSS)
    assert {0, search.best["best"].number} <= {one.point.number for one in drawn}
    assert 10 <= len(drawn) <= 12
    gaps = [after.order - before.order for before, after in pairwise(drawn)]
    assert max(gaps) <= 10


def test_each_point_has_its_most_special_role() -> None:
    values = iter([(4.0, 100.0), (3.0, 90.0), (5.0, 150.0), (3.5, 95.0)])
    search = made_up_search(
        LR, lambda _: next(values), objectives=[LOSS.name, SPEED.name], points=4, finalists=1
    )
    assert roles_of(search) == {0: "began", 1: "proven", 2: "front", 3: "front"}


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1e-5, 0.1, ["1e-5", "0.0001", "0.001", "0.01", "0.1"]),
        (1e-12, 1.0, ["1e-12", "1e-9", "1e-6", "0.001", "1"]),
        (0.003, 0.05, ["0.005", "0.01", "0.02", "0.05"]),
        (1.0, 1.5, ["1", "1.5"]),
    ],
)
def test_logarithmic_axes_have_plain_numbers(low: float, high: float, labels: list[str]) -> None:
    with panel(width=3, height=2) as (_, axes):
        decade_axis(axes, low, high)
        ticks = axes.xaxis.get_majorticklocs()
        assert [axes.xaxis.get_major_formatter()(tick, 0) for tick in ticks] == labels

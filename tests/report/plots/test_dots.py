import pandas as pd
import pytest

from harness.report.plots import dots
from harness.report.plots.dots import thinned, thinned_note


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A hundred values of two arms with an outlier in each, of which ten dots are drawn."""
    monkeypatch.setattr(dots, "MOST_DOTS", 10)
    values = [float(number % 7) for number in range(100)]
    values[13], values[58] = 99.0, -99.0
    return pd.DataFrame({"arm": [0] * 50 + [1] * 50, "value": values}, index=range(7, 107))


def test_few_points_are_all_drawn(points: pd.DataFrame) -> None:
    few = points.head(10)
    assert thinned(few, "value", ["arm"]) is few
    assert thinned_note([few]) == ()


def test_many_points_are_chosen_evenly_and_with_their_extremes(points: pd.DataFrame) -> None:
    chosen = thinned(points, "value", ["arm"])
    assert 10 <= len(chosen) <= 14
    assert chosen.index.is_monotonic_increasing
    assert {99.0, -99.0} <= set(chosen["value"])
    assert chosen.groupby("arm").size().between(5, 9).all()
    assert {99.0, -99.0} <= set(thinned(points, "value")["value"])
    for arm, part in chosen.groupby("arm"):
        every = points[points["arm"] == arm]["value"]
        assert (part["value"].min(), part["value"].max()) == (every.min(), every.max())


def test_a_figure_says_that_it_does_not_draw_all(points: pd.DataFrame) -> None:
    (note,) = thinned_note([points.head(3), points])
    assert note.startswith("A panel has up to 100 values, of which about 10 are drawn")

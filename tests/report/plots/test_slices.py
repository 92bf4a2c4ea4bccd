"""The values over each parameter."""

from __future__ import annotations

import math
from typing import Any

from harness.metrics import metric
from harness.report.plots.slices import draw_slice, slices
from tests.support.made_up_search import MIXED, made_up_search, names_of

LOSS = metric("validation_loss")


def value(point: Any) -> list[float]:
    return [math.inf if point["batch"] == 64 else 2 + point["optimizer.lr"]]


def test_a_point_lies_at_its_value_or_at_the_index_of_its_choice() -> None:
    search = made_up_search(MIXED, value, points=25, ended={3: ("failed", "broken")})
    by_name = {info.parameter: info for info in slices(search, LOSS, names_of(search))}
    assert list(by_name) == list(MIXED)
    known = [point for point in search.points if point.counts]
    assert [one.x for one in by_name["optimizer.lr"].points] == [
        float(point.names["optimizer.lr"]) for point in known
    ]
    assert [one.x for one in by_name["model.tied"].points] == [
        ["true", "false"].index(point.names["model.tied"]) for point in known
    ]
    momentum = by_name["optimizer.momentum"]
    assert len(momentum.points) == sum("optimizer.momentum" in point.names for point in known)
    assert momentum.left_out == len(known) - len(momentum.points) > 0
    assert by_name["batch"].values == (8, 16, 24, 32, 40, 48, 56, 64)
    assert {one.edge for one in by_name["batch"].points if one.x == 64} == {"x"}


def test_each_panel_spans_the_range_of_the_space() -> None:
    search = made_up_search(MIXED, value, points=25)
    for info in slices(search, LOSS, names_of(search)):
        (axes,) = draw_slice(info, alone=False).axes
        low, high = axes.get_xlim()
        assert low < info.ends[0] < info.ends[1] < high
        assert axes.get_xscale() == ("log" if info.parameter == "optimizer.lr" else "linear")
    ticks = {text.get_text() for text in axes.get_xticklabels()}
    assert ticks == {"true", "false"}


def test_without_a_finite_value_there_is_none() -> None:
    search = made_up_search(MIXED, lambda _: [math.inf], points=4)
    assert slices(search, LOSS, names_of(search)) == []


def test_labels_name_the_axis_and_the_choices() -> None:
    search = made_up_search(MIXED, value, points=25)
    labels = {
        "optimizer.lr": {"label": "learning rate"},
        "batch": {"unit": "rows"},
        "model.tied": {"levels": {"true": "one table"}},
    }
    infos = {info.parameter: info for info in slices(search, LOSS, names_of(search, labels))}
    assert [info.axis for info in infos.values()] == [
        "learning rate",
        "optimizer",
        "momentum",
        "batch (rows)",
        "tied",
    ]
    assert infos["model.tied"].choices == ("one table", "false")
    (axes,) = draw_slice(infos["optimizer.lr"], alone=True).axes
    assert axes.get_xlabel() == "learning rate (n = 25)"

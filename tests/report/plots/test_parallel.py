"""Points as lines over all parameters."""

from __future__ import annotations

from typing import Any

import pytest

from harness.report.plots import parallel as module
from harness.report.plots.parallel import MISSING, draw_parallel, parallel
from tests.support.made_up_search import LR, MIXED, made_up_search, names_of

SPACE = {**LR, "size": {"low": 2, "high": 10, "step": 4}, "kind": {"choices": ["a", "b", "c"]}}


def value(point: Any) -> list[float]:
    return [1 + point["optimizer.lr"]]


def test_a_line_crosses_each_axis_at_its_value() -> None:
    search = made_up_search(SPACE, value, points=20)
    info = parallel(search, names_of(search))
    assert info is not None
    assert [axis.label for axis in info.axes] == ["lr", "size", "kind", "validation loss (nats/token) ↓"]
    assert [text for _, text in info.axes[0].ticks] == ["0.0001", "0.003162", "0.1"]
    assert [axis.ticks for axis in info.axes[1:3]] == [
        ((0.0, "2"), (0.5, "6"), (1.0, "10")),
        ((0.0, "a"), (0.5, "b"), (1.0, "c")),
    ]
    assert all(0 <= position <= 1 for _, positions in info.lines for position in positions)
    proven = dict(info.lines)["proven"]
    assert proven[-1] == min(positions[-1] for group, positions in info.lines if group != "began")


def test_the_best_quarter_stands_out_and_special_lines_are_drawn_last() -> None:
    search = made_up_search(SPACE, value, points=41)
    info = parallel(search, names_of(search))
    assert info is not None
    groups = [group for group, _ in info.lines]
    assert groups == sorted(groups, key=["other", "good", "began", "proven"].index)
    assert groups.count("began") == groups.count("proven") == 1
    assert 9 <= groups.count("good") <= 11


def test_a_parameter_that_does_not_exist_has_a_place_of_its_own() -> None:
    search = made_up_search(MIXED, value, points=30)
    info = parallel(search, names_of(search))
    assert info is not None
    index = list(MIXED).index("optimizer.momentum")
    missing = sum(positions[index] == MISSING for _, positions in info.lines)
    assert missing == sum("optimizer.momentum" not in point.names for point in search.points) > 0
    assert [axis.conditional for axis in info.axes] == [False, False, True, False, False, False]
    (axes,) = draw_parallel(info).axes
    assert [text.get_text() for text in axes.texts].count("not there") == 1


def test_parameters_without_an_axis_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AXES", 3)
    search = made_up_search(SPACE, value, points=20)
    info = parallel(search, names_of(search))
    assert info is not None
    assert ([axis.label for axis in info.axes][:2], info.left_out) == (["lr", "size"], 1)

"""The space of a search: kinds of parameters, conditions, and points as texts."""

from __future__ import annotations

import itertools
import math
from graphlib import CycleError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study.levels import Scalar, level_name
from harness.study.search import Parameter
from harness.study.space import MOST_CHECKED, Space
from harness.tasks.train import Train
from tests.support.tiny_study import recipe

TASK = Train.read(recipe())
ODD_CHOICES: tuple[Scalar, ...] = (None, True, False, 1, 0, 1e-5, 0.1 + 0.2, "text", "1e-5", -0.5)


def parameters(document: dict[str, dict[str, Any]]) -> dict[str, Parameter]:
    return {name: Parameter.read(one) for name, one in document.items()}


def space_of(document: dict[str, dict[str, Any]]) -> Space:
    return Space.around(parameters(document), TASK)


CONDITIONAL = space_of(
    {
        "schedule.flat": {"low": 0, "high": 2, "when": {"schedule.kind": "cosine"}},
        "schedule.kind": {"choices": ["cosine", "linear", "constant"]},
        "optimizer": {
            "choices": [
                {"careful": {"optimizer.lr": 1e-4, "clip": 0.5}},
                {"bold": {"optimizer.lr": 1e-2, "clip": None}},
            ]
        },
        "optimizer.weight_decay": {
            "low": 0.0,
            "high": 0.2,
            "step": 0.1,
            "when": {"optimizer": ["bold"], "schedule.kind": ["linear", "constant"]},
        },
    }
)


@pytest.mark.parametrize(
    ("path", "parameter", "kind"),
    [
        ("schedule.warmup", {"low": 0, "high": 3}, "int"),
        ("schedule.warmup", {"low": 0, "high": 4, "step": 2}, "int"),
        ("optimizer.lr", {"low": 1, "high": 3}, "float"),
        ("clip", {"low": 1, "high": 3, "step": 1}, "float"),
        ("schedule.warmup", {"low": 0.0, "high": 3}, "float"),
        ("schedule.warmup", {"low": 0, "high": 3, "step": 0.5}, "float"),
        ("unknown.setting", {"low": 0, "high": 3}, "int"),
        ("schedule.warmup", {"choices": [0, 3]}, "choice"),
    ],
)
def test_a_range_is_of_whole_numbers_if_it_is_written_so_and_the_setting_is_not_real(
    path: str, parameter: dict[str, Any], kind: str
) -> None:
    space = space_of({path: parameter})
    assert space.kinds == {path: kind}
    again = Space.recorded(parameters({name: one.plain() for name, one in space.parameters.items()}))
    assert again == space, "whoever reads the record of a search knows the kinds without the task"


def test_parameters_come_after_those_on_which_they_depend() -> None:
    order = list(CONDITIONAL.parameters)
    assert order.index("schedule.kind") < order.index("schedule.flat")
    assert max(order.index("optimizer"), order.index("schedule.kind")) < order.index("optimizer.weight_decay")


def test_a_circle_has_no_order() -> None:
    with pytest.raises(CycleError):
        space_of(
            {
                "clip": {"choices": [1.0, 2.0], "when": {"compile": True}},
                "compile": {"choices": [True, False], "when": {"clip": 1.0}},
            }
        )


@pytest.mark.parametrize(
    ("point", "existing"),
    [
        ({"schedule.kind": "cosine", "optimizer": "bold"}, ["schedule.flat"]),
        ({"schedule.kind": "linear", "optimizer": "bold"}, ["optimizer.weight_decay"]),
        ({"schedule.kind": "linear", "optimizer": "careful"}, []),
        ({"schedule.kind": "cosine"}, ["schedule.flat"]),
        ({"optimizer": "bold"}, []),
    ],
)
def test_a_parameter_exists_only_when_all_others_have_the_choices_that_it_needs(
    point: dict[str, Scalar], existing: list[str]
) -> None:
    depending = [
        name for name in ("schedule.flat", "optimizer.weight_decay") if CONDITIONAL.exists(name, point)
    ]
    assert depending == existing


def test_a_group_of_settings_makes_them_all_and_later_parameters_override_it() -> None:
    point: dict[str, Scalar] = {
        "schedule.kind": "linear",
        "optimizer": "bold",
        "optimizer.weight_decay": 0.1,
    }
    assert CONDITIONAL.settings(point) == {
        "schedule.kind": "linear",
        "optimizer.lr": 1e-2,
        "clip": None,
        "optimizer.weight_decay": 0.1,
    }


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (
            {"low": 1e-5, "high": 0.5},
            [1e-5, 0.5, 0.1 + 0.2],
            [0, 0.500001, True, "0.1", None, math.nan, math.inf],
        ),
        ({"low": 0.0, "high": 0.7, "step": 0.1}, [0.1, 0.1 + 0.2, 0.3, 0.7], [0.15, 0.8]),
        (
            {"choices": [None, True, 1.0, "cosine"]},
            [None, True, 1.0, "cosine"],
            [1, False, "null", "true", 0],
        ),
    ],
)
def test_which_values_a_space_contains(
    parameter: dict[str, Any], inside: list[object], outside: list[object]
) -> None:
    space = space_of({"clip": parameter})
    assert [space.contains("clip", value) for value in inside] == [True] * len(inside)
    assert [space.contains("clip", value) for value in outside] == [False] * len(outside)


def test_a_range_of_whole_numbers_contains_nothing_else() -> None:
    space = space_of({"schedule.warmup": {"low": 0, "high": 4, "step": 2}})
    values = (0, 2, 4, 1, 6, 2.0, 2.5, False)
    assert [value for value in values if space.contains("schedule.warmup", value)] == [0, 2, 4]


def test_a_whole_number_is_the_real_one_where_a_parameter_is_real() -> None:
    space = space_of({"clip": {"low": 0.5, "high": 2.0}, "schedule.warmup": {"low": 0, "high": 3}})
    typed = space.typed({"clip": 1, "schedule.warmup": 2})
    assert [type(value) for value in typed.values()] == [float, int]
    assert typed == {"clip": 1.0, "schedule.warmup": 2}


def test_values_of_a_range_with_steps_are_as_a_person_writes_them() -> None:
    space = space_of(
        {"clip": {"low": 0.1, "high": 0.7, "step": 0.1}, "optimizer.lr": {"low": 0.1, "high": 1.0}}
    )
    assert space.values("clip") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert space.values("optimizer.lr") is None
    assert space.size() == math.inf


@st.composite
def spaces_with_points(draw: st.DrawFn) -> tuple[Space, dict[str, Scalar]]:
    """Two ranges and two parameters with choices, of which one exists only with some choices of the other."""
    real = draw(st.floats(1e-12, 1e12))
    choices = draw(st.lists(st.sampled_from(ODD_CHOICES), min_size=2, unique_by=level_name))
    needed = draw(st.lists(st.sampled_from(choices), min_size=1, max_size=2))
    space = space_of(
        {
            "clip": {"low": real / 10, "high": real * 10},
            "schedule.warmup": {"low": 0, "high": draw(st.integers(1, 10**12))},
            "free": {"choices": choices},
            "bound": {"choices": [{"a": {"x": 1}}, {"b": {"x": 2}}, "plain"], "when": {"free": needed}},
        }
    )
    point: dict[str, Scalar] = {}
    for name in space.parameters:
        if space.exists(name, point):
            values = space.values(name) if space.kinds[name] == "choice" else None
            low, high = (0.0, 0.0) if values else space.ends(name)
            number = st.integers(int(low), int(high)) if space.kinds[name] == "int" else st.floats(low, high)
            point[name] = draw(st.sampled_from(values) if values else number)
    return space, point


@given(spaces_with_points())
def test_a_point_that_is_written_as_texts_is_read_as_it_was(spaces: tuple[Space, dict[str, Scalar]]) -> None:
    space, point = spaces
    read = space.read(space.names(point))
    assert read == point
    assert [type(value) for value in read.values()] == [type(value) for value in point.values()]
    assert space.is_complete(point)
    assert all(space.contains(name, value) for name, value in point.items())
    for name in point:
        assert not space.is_complete({other: value for other, value in point.items() if other != name})


def test_every_point_of_a_finite_space_is_listed_once() -> None:
    points = list(CONDITIONAL.points())
    expected = 2 * 3 + 1 * 2 + (3 + 3)  # cosine with flat; careful without decay; bold with decay
    assert (
        len({tuple(sorted(CONDITIONAL.names(point).items())) for point in points}) == len(points) == expected
    )
    assert all(CONDITIONAL.is_complete(point) for point in points)
    assert CONDITIONAL.size() == 3 * 2 * 3 * 3, "the number of points if all parameters existed everywhere"


def test_points_that_are_checked_are_complete_and_have_every_end_choice_and_combination() -> None:
    start = {"schedule.kind": "linear", "optimizer": "careful"}
    points = list(CONDITIONAL.checked_points(start))
    for point in points:
        assert CONDITIONAL.is_complete(point)
        assert all(CONDITIONAL.exists(name, point) for name in point)
    for name in ("schedule.flat", "optimizer.weight_decay"):
        assert {point[name] for point in points if name in point} >= set(CONDITIONAL.ends(name))
    pairs = {(point["schedule.kind"], point["optimizer"]) for point in points}
    assert pairs == set(itertools.product(("cosine", "linear", "constant"), ("careful", "bold")))


def test_too_many_combinations_are_not_checked_but_every_choice_is() -> None:
    names = [f"switch_{index}" for index in range(math.ceil(math.log2(MOST_CHECKED)) + 1)]
    space = space_of({name: {"choices": [False, True]} for name in names})
    points = list(space.checked_points({}))
    assert len(points) == 2 * len(names)
    assert all({point[name] for point in points} == {False, True} for name in names)


def test_the_first_point_is_changed_by_one_parameter_at_a_time() -> None:
    space = space_of({"clip": {"low": 0.5, "high": 2.0}, "schedule.warmup": {"low": 0, "high": 3}})
    start = {"clip": 1.0, "schedule.warmup": 1}
    assert list(space.checked_points(start)) == [
        start,
        {**start, "clip": 0.5},
        {**start, "clip": 2.0},
        {**start, "schedule.warmup": 0},
        {**start, "schedule.warmup": 3},
    ]


@pytest.mark.parametrize(
    ("parameter", "value", "position"),
    [
        ({"low": 1e-4, "high": 1e-2, "log": True}, 1e-3, 0.5),
        ({"low": 0.0, "high": 4.0}, 1.0, 0.25),
        ({"low": 0.5, "high": 2.0}, 2.0, 1.0),
    ],
)
def test_where_a_value_lies_between_the_ends(
    parameter: dict[str, Any], value: float, position: float
) -> None:
    space = space_of({"clip": parameter})
    assert space.relative_position("clip", value) == pytest.approx(position)
    assert space.point_at(position, {})["clip"] == pytest.approx(value)

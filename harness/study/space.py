"""The space of a search: which parameters a point has, which settings it makes, and how it is written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any, Literal

from harness.study.arms import wanted_levels
from harness.study.dotted_paths import value_at
from harness.study.levels import Level, Scalar, level_name
from harness.study.search import Parameter
from harness.tasks.base import Task

Point = Mapping[str, Scalar]
"""Parameter → its value. A choice that is a group of settings has its name as its value. Parameters that do
not exist at this point are missing.
"""

NEAR_END = 0.02
"""A value is near an end of a range if it is within this share of the range, on the scale of the range."""

MOST_CHECKED = 256
"""Up to so many combinations of choices are checked before a search begins."""

Kind = Literal["float", "int", "choice"]


@dataclass(frozen=True)
class Space:
    """The parameters, each after those on which it depends. `kinds` says whether a parameter is a real
    number, a whole number or a choice.
    """

    parameters: Mapping[str, Parameter]
    kinds: Mapping[str, Kind]

    @classmethod
    def around(cls, parameters: Mapping[str, Parameter], task: Task) -> Space:
        """The space around a task. A range is of whole numbers if its ends and its step are, unless the task
        has a real number there.

        Raises graphlib.CycleError if parameters depend on each other in a circle.
        """
        document = task.plain()
        order = TopologicalSorter({name: set(one.when or ()) for name, one in parameters.items()})
        ordered = {name: parameters[name] for name in order.static_order() if name in parameters}
        kinds = {name: _kind(one, value_at(document, name)) for name, one in ordered.items()}
        return cls({name: _typed(one, kinds[name]) for name, one in ordered.items()}, kinds)

    @classmethod
    def recorded(cls, parameters: Mapping[str, Parameter]) -> Space:
        """The space that was recorded with a search: its parameters are in order and have the types of their
        kinds.
        """
        return cls(parameters, {name: _kind(one, None) for name, one in parameters.items()})

    def exists(self, name: str, point: Point) -> bool:
        """Whether a parameter exists at a point, given the parameters on which it depends."""
        return all(
            other in point and level_name(point[other]) in wanted_levels(asked)
            for other, asked in (self.parameters[name].when or {}).items()
        )

    def is_complete(self, point: Point) -> bool:
        """Whether the point has a value for each parameter that exists there."""
        return all(name in point for name in self.parameters if self.exists(name, point))

    def settings(self, point: Point) -> dict[str, Any]:
        """The settings that a point makes, by their paths."""
        made: dict[str, Any] = {}
        for name in self.parameters:
            if name in point:
                group = self._groups.get((name, level_name(point[name])))
                made.update({name: point[name]} if group is None else group)
        return made

    def typed(self, point: Point) -> dict[str, Scalar]:
        """The point with numbers of the kinds of their parameters: a person may write 1 for 1.0."""
        return {
            name: float(value) if self.kinds[name] == "float" and isinstance(value, int) else value
            for name, value in point.items()
        }

    def names(self, point: Point) -> dict[str, str]:
        """The values as texts, as they stand in the trials of the search."""
        return {name: level_name(point[name]) for name in self.parameters if name in point}

    def read(self, names: Mapping[str, str]) -> dict[str, Scalar]:
        """The point with these texts."""
        return {name: self._value(name, names[name]) for name in self.parameters if name in names}

    def values(self, name: str) -> Sequence[Scalar] | None:
        """All values of a parameter in their order, or None if there is no end of them."""
        parameter, kind = self.parameters[name], self.kinds[name]
        if parameter.choices is not None:
            return tuple(map(choice_value, parameter.choices))
        low, high = self.ends(name)
        if kind == "int":
            return range(int(low), int(high) + 1, int(parameter.step or 1))
        if parameter.step is None:
            return None
        count = round((high - low) / parameter.step)
        return tuple(as_written(low + index * parameter.step) for index in range(count + 1))

    def ends(self, name: str) -> tuple[float, float]:
        """The ends of the range of a parameter that is a number."""
        parameter = self.parameters[name]
        assert parameter.low is not None
        assert parameter.high is not None
        return parameter.low, parameter.high

    def points(self) -> Iterator[dict[str, Scalar]]:
        """Every point of a space without endless values, in the order of the values."""

        def longer(point: dict[str, Scalar], names: Sequence[str]) -> Iterator[dict[str, Scalar]]:
            if not names:
                yield point
            elif not self.exists(names[0], point):
                yield from longer(point, names[1:])
            else:
                for value in self.values(names[0]) or ():
                    yield from longer({**point, names[0]: value}, names[1:])

        return longer({}, tuple(self.parameters))

    def size(self) -> float:
        """The number of points, infinite if there is no end of them. Conditions are not considered, so there
        may be fewer.
        """
        counts = (self.values(name) for name in self.parameters)
        return math.prod(math.inf if values is None else float(len(values)) for values in counts)

    def relative_position(self, name: str, value: Scalar) -> float:
        """Where a number lies between the ends of its range, from 0 to 1 on the scale of the range."""
        assert isinstance(value, int | float)
        (low, high), log = self.ends(name), self.parameters[name].log
        scale = math.log if log else float
        return (scale(value) - scale(low)) / (scale(high) - scale(low))

    def near_ends(self, point: Point) -> tuple[str, ...]:
        """The numbers of a point that are at an end of their range, or near one on the scale of the range."""
        return tuple(
            name
            for name, value in point.items()
            if self.kinds[name] != "choice"
            and not NEAR_END < self.relative_position(name, value) < 1 - NEAR_END
        )

    def contains(self, name: str, value: object) -> bool:
        """Whether the search could ask this value."""
        parameter = self.parameters[name]
        if parameter.choices is not None:
            choices = map(choice_value, parameter.choices)
            return any(type(one) is type(value) and one == value for one in choices)
        numbers = (int,) if self.kinds[name] == "int" else (int, float)
        if isinstance(value, bool) or not isinstance(value, numbers):
            return False
        low, high = self.ends(name)
        steps = (value - low) / parameter.step if parameter.step is not None else 0.0
        return low <= value <= high and math.isclose(steps, round(steps), abs_tol=1e-9)

    def checked_points(self, start: Point) -> Iterator[dict[str, Scalar]]:
        """Points at which a search is tried before it begins: each end and each choice alone, with everything
        else as at `start` or at its first value, and the combinations of choices, if they are few.
        """
        choices = {
            name: tuple(map(choice_value, parameter.choices))
            for name, parameter in self.parameters.items()
            if parameter.choices is not None
        }
        if math.prod(len(values) for values in choices.values()) <= MOST_CHECKED:
            for chosen in itertools.product(*choices.values()):
                yield self._completed(dict(zip(choices, chosen, strict=True)), start)
        for name, kind in self.kinds.items():
            for value in choices[name] if kind == "choice" else map(self._typed(name), self.ends(name)):
                yield self._completed({**self._needed_for(name), name: value}, start)

    def point_at(self, position: float, start: Point) -> dict[str, Scalar]:
        """The point whose numbers all lie at the same position between the ends of their ranges, from 0 to 1,
        with the choices of `start`.
        """
        numbers = {
            name: self._value_at(name, position) for name, kind in self.kinds.items() if kind != "choice"
        }
        return self._completed(numbers, start)

    def _value_at(self, name: str, position: float) -> Scalar:
        parameter, (low, high) = self.parameters[name], self.ends(name)
        value = low * (high / low) ** position if parameter.log else low + (high - low) * position
        if parameter.step is not None:
            value = low + round((value - low) / parameter.step) * parameter.step
        return self._typed(name)(value)

    def _completed(self, asked: Point, start: Point) -> dict[str, Scalar]:
        point: dict[str, Scalar] = {}
        for name in self.parameters:
            if self.exists(name, point):
                point[name] = asked.get(name, start.get(name, self._first(name)))
        return point

    def _needed_for(self, name: str) -> dict[str, Scalar]:
        """Choices with which a parameter exists."""
        needed: dict[str, Scalar] = {}
        for other, asked in (self.parameters[name].when or {}).items():
            needed.update(self._needed_for(other))
            needed[other] = self._value(other, wanted_levels(asked)[0])
        return needed

    def _first(self, name: str) -> Scalar:
        choices = self.parameters[name].choices
        return choice_value(choices[0]) if choices is not None else self._typed(name)(self.ends(name)[0])

    def _typed(self, name: str) -> type[float | int]:
        return int if self.kinds[name] == "int" else float

    def _value(self, name: str, text: str) -> Scalar:
        choices = self.parameters[name].choices
        if choices is None:
            return self._typed(name)(text)
        return next(choice_value(choice) for choice in choices if level_name(choice) == text)

    @cached_property
    def _groups(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The settings of each choice that is a group."""
        return {
            (name, level_name(choice)): dict(next(iter(choice.values())))
            for name, parameter in self.parameters.items()
            for choice in parameter.choices or ()
            if isinstance(choice, dict)
        }


def as_written(value: float) -> float:
    """The number without the rounding error of a few operations."""
    return float(f"{value:.12g}")


def choice_value(choice: Level) -> Scalar:
    """The value of a choice: itself, or the name of its group of settings."""
    return level_name(choice) if isinstance(choice, dict) else choice


def _typed(parameter: Parameter, kind: Kind) -> Parameter:
    """The parameter with numbers of its kind, so that whoever reads them back knows it."""
    if kind != "float":
        return parameter
    ends = {key: value for key in ("low", "high", "step") if (value := getattr(parameter, key)) is not None}
    return parameter.model_copy(update={key: float(value) for key, value in ends.items()})


def _kind(parameter: Parameter, present: object) -> Kind:
    if parameter.choices is not None:
        return "choice"
    numbers = (parameter.low, parameter.high, parameter.step or 0)
    integers = all(isinstance(number, int) for number in numbers) and not isinstance(present, float)
    return "int" if integers else "float"

"""Values that a regular expression finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.programs.outputs import Printed, Value
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.outputs.pattern import Pattern


def values(pattern: str, *lines: str) -> list[Value]:
    return list(Pattern(pattern=pattern).values("loss", Printed(lines=lines, folder=Path())))


def test_one_group_is_the_value() -> None:
    lines = ("start", "loss 2.5 (loss 9)", "loss: none", "step 2, loss 2.25")
    assert values(r"loss ([0-9.]+)", *lines) == [Value(None, 2.5), Value(None, 2.25)]


def test_groups_named_value_and_step() -> None:
    pattern = r"step (?P<step>\d+): (?P<value>\S+)"
    assert values(pattern, "step 7: 1e-3", "step 8: 2") == [Value(7, 1e-3), Value(8, 2.0)]
    assert values(r"x(?P<value>\d)", "x3") == [Value(None, 3.0)]
    assert values(r"(?:(?P<step>\d+): )?loss (?P<value>\d+)", "3: loss 2", "loss 1") == [
        Value(3, 2.0),
        Value(None, 1.0),
    ]


def test_a_number_at_the_end_of_a_long_line_is_read_to_its_end() -> None:
    assert values(r"loss ([0-9.]+)$", "." * 2_000_000 + "loss 1.25") == [Value(None, 1.25)]


@pytest.mark.parametrize(
    "pattern",
    [
        "loss",
        "(a)(b)",
        r"(?P<step>\d+)",
        r"(?P<value>\d+) (?P<stp>\d+)",
        r"(?P<loss>\d+)",
        "(",
        "",
    ],
)
def test_a_pattern_that_does_not_say_what_the_value_is(pattern: str) -> None:
    with pytest.raises(ValidationError):
        Pattern(pattern=pattern)


def test_a_match_that_is_no_number() -> None:
    with pytest.raises(ProgramOutputError, match=r"line 2 of the output: 'fast' is not a number"):
        values(r"speed (\w+)", "", "speed fast")
    with pytest.raises(ProgramOutputError, match="is not a number"):
        values(r"speed(x)?", "speed")

"""Lines of JSON among other messages of a program."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.programs.outputs import Printed, Value
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.outputs.json_lines import JsonLines


def values(*lines: str) -> list[Value]:
    return list(JsonLines().values("loss", Printed(lines=lines, folder=Path())))


def test_only_lines_of_this_form_are_values() -> None:
    read = values(
        "epoch 1",
        '{"metric": "loss", "value": 2.5, "step": 3}',
        '{"metric": "other", "value": "anything"}',
        '{"metric": "loss", "value": 2}',
        '{"message": "a loss of 3"}',
        "{not JSON at all",
        '{"metric": ["loss"], "value": 1}',
    )
    assert read == [Value(3, 2.5), Value(None, 2.0)]


def test_what_diverged_and_what_no_float_can_hold() -> None:
    nan, large, text = values(
        '{"metric": "loss", "value": NaN}',
        f'{{"metric": "loss", "value": 1{"0" * 400}}}',
        '{"metric": "loss", "value": "2.5"}',
    )
    assert math.isnan(nan.value)
    assert (large.value, text.value) == (math.inf, 2.5)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"metric": "loss", "value": 2.', "line 2 of the output is not JSON"),
        ('{"metric": "loss"}', "line 2 of the output has no value"),
        ('{"metric": "loss", "value": null}', "line 2 of the output: 'None' is not a number"),
        ('{"metric": "loss", "value": true}', "line 2 of the output: 'True' is not a number"),
        ('{"metric": "loss", "value": 1, "step": -1}', "line 2 of the output: '-1' is not a step"),
        ('{"metric": "loss", "value": 1, "step": "x"}', "line 2 of the output: 'x' is not a number"),
        (f'{{"metric": "loss", "value": {"9" * 5000}}}', "line 2 of the output is not JSON"),
        (f'{{"metric": {"[" * 100_000}', "line 2 of the output is not JSON"),
    ],
)
def test_a_value_that_cannot_be_read_is_an_error(line: str, error: str) -> None:
    with pytest.raises(ProgramOutputError, match=error):
        values("begin", line)

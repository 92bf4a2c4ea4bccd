"""Values in a column of a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.programs.outputs import Printed, Value
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.outputs.csv_file import CsvFile


def values(folder: Path, text: str, **settings: Any) -> list[Value]:
    (folder / "log.csv").write_text(text, newline="")
    output = CsvFile(file="log.csv", column="loss", **settings)
    return list(output.values("loss", Printed(lines=(), folder=folder)))


def test_a_column_with_its_steps(tmp_path: Path) -> None:
    text = 'step,note,loss\r\n1,"a, ""b""\r\nc",2.5\r\n2,,\r\n3,,2.25\r\n'
    assert values(tmp_path, text, step="step") == [Value(1, 2.5), Value(3, 2.25)]  # an empty cell is none
    assert values(tmp_path, text) == [Value(None, 2.5), Value(None, 2.25)]


def test_another_delimiter_and_short_rows(tmp_path: Path) -> None:
    assert values(tmp_path, "a;loss\n1;2\n1\n\n1;3\n", delimiter=";") == [Value(None, 2.0), Value(None, 3.0)]


@pytest.mark.parametrize("delimiter", ["", ",,", "\n", "\r", '"'])
def test_what_cannot_be_a_delimiter(delimiter: str) -> None:
    with pytest.raises(ValidationError):
        CsvFile(file="log.csv", column="loss", delimiter=delimiter)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "log.csv has no column 'loss'"),
        ("los\n1\n", "log.csv has no column 'loss'; did you mean 'los'"),
        ("loss,loss\n1,2\n", "log.csv has several columns 'loss'"),
        ("loss\n2\nfast\n", "log.csv, line 3: 'fast' is not a number"),
        (f"loss\n{'1' * 200_000}\n", "log.csv is not CSV: field larger than field limit"),
    ],
)
def test_a_value_that_cannot_be_read(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ProgramOutputError, match=error) as raised:
        values(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_a_step_that_is_missing_or_wrong(tmp_path: Path) -> None:
    for text in ("loss\n1\n", "loss,step\n1\n", "loss,step\n1,x\n", "loss,step\n1,-1\n"):
        with pytest.raises(ProgramOutputError, match=r"has no column 'step'|is not a (number|step)"):
            values(tmp_path, text, step="step")

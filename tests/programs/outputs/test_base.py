"""What all kinds of output share: files of the program, numbers and steps."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.programs.outputs import Printed
from harness.programs.outputs.base import ProgramOutputError, number_of, step_of, text_of
from harness.programs.outputs.json_file import JsonFile


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, 2.0),
        (-0.5, -0.5),
        ("2.5", 2.5),
        (" 1e-3 ", 1e-3),
        ("inf", math.inf),
        (10**400, math.inf),
        (-(10**400), -math.inf),
    ],
)
def test_numbers(value: object, number: float) -> None:
    assert number_of(value, "here") == number


@pytest.mark.parametrize("value", ["nan", "NaN", math.nan])
def test_nan_is_a_number(value: object) -> None:
    assert math.isnan(number_of(value, "here"))


@pytest.mark.parametrize("value", [None, True, "", "fast", "1_0", [1], {}, "0x10"])
def test_what_is_no_number_names_its_origin(value: object) -> None:
    with pytest.raises(ProgramOutputError, match=r"line 3: '.*' is not a number"):
        number_of(value, "line 3")


def test_steps_are_whole_numbers_from_zero() -> None:
    assert [step_of(value, "here") for value in (0, "7", 3.0)] == [0, 7, 3]
    assert step_of(2**53 + 1, "here") == 2**53 + 1  # a float would round it
    for value in (-1, 0.5, math.nan, math.inf, "1.5"):
        with pytest.raises(ProgramOutputError, match="is not a step"):
            step_of(value, "here")
    for wrong in (None, False, "x"):
        with pytest.raises(ProgramOutputError, match="is not a number"):
            step_of(wrong, "here")


@pytest.mark.parametrize("file", ["/etc/passwd", "../other", "a/../../b", ""])
def test_a_file_lies_inside_the_folder_of_the_program(file: str) -> None:
    with pytest.raises(ValidationError):
        JsonFile(file=file, path="x")


def test_a_file_that_is_not_one(tmp_path: Path) -> None:
    """A pipe would be waited for without end."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfx")
    printed = Printed(lines=(), folder=tmp_path)
    for file in ("folder", "pipe", "link"):
        with pytest.raises(ProgramOutputError, match=f"{file} is not a file"):
            text_of(printed, file)
    for file in ("none", "marked/none"):
        with pytest.raises(ProgramOutputError, match=f"the program wrote no file {file}"):
            text_of(printed, file)
    with pytest.raises(ProgramOutputError, match="latin is not text in UTF-8"):
        text_of(printed, "latin")
    assert text_of(printed, "marked") == "x"


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.programs.outputs.base.LARGEST_FILE", 2**20)
    (tmp_path / "large").write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(ProgramOutputError, match="large is larger than 1 MiB"):
        text_of(Printed(lines=(), folder=tmp_path), "large")

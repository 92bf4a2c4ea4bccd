"""Values in a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.programs.outputs import Printed, Value
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.outputs.json_file import JsonFile

DOCUMENT = {"results": [{"loss": 2.5, "losses": [3, 2.5]}], "note": "x", "none": None, "empty": []}


def values(folder: Path, path: str) -> list[Value]:
    return list(JsonFile(file="out.json", path=path).values("loss", Printed(lines=(), folder=folder)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out.json").write_text(json.dumps(DOCUMENT))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "numbers"),
    [("results.0.loss", [2.5]), ("results.0.losses", [3, 2.5]), ("results.0.losses.1", [2.5]), ("empty", [])],
)
def test_a_path_leads_to_a_number_or_a_list(folder: Path, path: str, numbers: list[float]) -> None:
    assert values(folder, path) == [Value(None, number) for number in numbers]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("results.1.loss", "out.json has nothing at results.1.loss .there is no '1'."),
        ("results.x", "there is no 'x'"),
        ("results.0.los", "there is no 'los'"),
        ("note.x", "there is no 'x'"),
        ("none.x", "there is no 'x'"),
        ("note", "out.json at note: 'x' is not a number"),
        ("none", "'None' is not a number"),
        ("results", "is not a number"),
    ],
)
def test_a_path_that_leads_nowhere_or_to_no_number(folder: Path, path: str, error: str) -> None:
    with pytest.raises(ProgramOutputError, match=error):
        values(folder, path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "{'loss': 1}"])
def test_a_file_that_is_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "out.json").write_text(text)
    with pytest.raises(ProgramOutputError, match=r"out\.json is not JSON"):
        values(tmp_path, "loss")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ProgramOutputError, match=r"the program wrote no file out\.json"):
        values(tmp_path, "loss")

"""`harness analyse` as a person and as a program use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from tests.imported.results import csv_file, losses, rows


def analyse(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["analyse", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(csv_file(tmp_path, rows(losses({"a": 1.0, "b": 0.97}, 8))))


def test_the_table_and_what_is_missing_are_the_result(file: str) -> None:
    done = analyse(file, "--lower", "loss", "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    head, row, *rest = done.stdout.splitlines()
    cells = dict(zip(head.split("\t"), row.split("\t"), strict=True))
    assert (cells["metric"], cells["arm"], cells["n"]) == ("loss", "b", "8")
    assert (cells["margin"], cells["verdict"]) == ("± 1 %", "better, not randomised")
    assert [line.partition(":")[0] for line in rest] == [
        "not randomised",
        "declared after the data",
        "parity unknown",
        "order unknown",
    ]
    assert "the baseline is 'a'" in analyse(file).stderr


def test_json_has_all_numbers(file: str) -> None:
    done = analyse(file, "--higher", "loss", "--margin", "loss=0.02", "--json", "--pair", "seed", "seed")
    data = json.loads(done.stdout)
    assert (data["baseline"], data["paired_by"], data["trials"]) == ("a", "seed", 16)
    (contrast,) = data["contrasts"]
    assert (contrast["verdict"], contrast["margin"]) == ("worse, not randomised", 0.02)
    assert data["missing"][0]["what"] == "not randomised"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lower", "lost"], "runs.csv:1: nothing in the file is named 'lost'; did you mean 'loss'?"),
        (["--baseline", "z"], "no row of the column 'arm' is 'z'; known: a, b"),
        (["--margin", "loss"], "write NAME=VALUE"),
        (["--pair", "day", "seed"], "paired by seed or by round"),
        (["--lower", "loss", "--higher", "loss"], "one direction is better"),
    ],
)
def test_bad_input_ends_with_exit_code_2(file: str, arguments: list[str], message: str) -> None:
    done = analyse(file, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


def test_undecided_and_invalid_comparisons_are_a_result(tmp_path: Path) -> None:
    lines = ["arm,seed,loss", "a,1,2", "b,1,3", "c,2,3"]
    done = analyse(str(csv_file(tmp_path, lines)), "--lower", "loss", "--json")
    assert done.exit_code == 0
    assert [one["verdict"] for one in json.loads(done.stdout)["contrasts"]] == ["undecided", "invalid"]

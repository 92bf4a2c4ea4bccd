"""Every value has a line, and what is missing or not finite never passes unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.imported import values
from harness.imported.columns import find_columns
from harness.imported.options import FileOptions
from harness.imported.table_file import open_table
from harness.imported.values import NO_NUMBERS, FileValue, FileValues, read_values
from tests.imported.results import csv_file


def read(folder: Path, text: str, name: str = "runs.csv", **options: object) -> FileValues:
    wanted = FileOptions(**options)  # type: ignore[arg-type]
    table = open_table(csv_file(folder, text.split(), name))
    return read_values(table, find_columns(table, wanted), wanted)


def test_values_have_their_lines_and_seeds_their_numbers(tmp_path: Path) -> None:
    got = read(tmp_path, "arm,seed,loss a,1,2.5 b,01,2 b,1.5,3 a,x,4")
    assert got.values == {
        "loss": {
            ("a", "1"): FileValue(2, None, 2.5),
            ("b", "1"): FileValue(3, None, 2.0),
            ("b", "1.5"): FileValue(4, None, 3.0),
            ("a", "x"): FileValue(5, None, 4.0),
        }
    }
    assert got.arms == ("a", "b")


def test_the_value_at_the_last_step_counts_in_both_formats(tmp_path: Path) -> None:
    long = read(tmp_path, "arm,seed,metric,value,step a,0,loss,3,20 a,0,loss,5,10 a,0,acc,1,20 b,0,loss,4,20")
    assert long.values["loss"] == {("a", "0"): FileValue(2, 20, 3.0), ("b", "0"): FileValue(5, 20, 4.0)}
    assert long.left_out == {"acc": "has no value for seed 0 of 'b' (line 5)"}
    wide = read(tmp_path, "arm,seed,step,loss,eval a,0,10,5, a,0,20,3,7 b,0,20,4,8 b,0,30,,")
    assert wide.values["loss"] == {("a", "0"): FileValue(3, 20, 3.0), ("b", "0"): FileValue(4, 20, 4.0)}
    assert wide.values["eval"][("b", "0")] == FileValue(4, 20, 8.0)


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("arm,seed,loss a,1,2 a,1.0,2", 3, "seed 1 of 'a' is already in line 2", "one row per trial"),
        ("arm,seed,loss ,1,2", 2, "the column 'arm' is empty", "complete"),
        ("arm,seed,loss a,,2", 2, "the column 'seed' is empty", "complete"),
        ("arm,seed,loss a,1,2 b,1,", 3, "'loss' is empty", "inf if the training diverged"),
        ("arm,seed,loss a,1,2 b,1,NaN", 3, "'loss' is NaN", "inf if the training diverged"),
        ("arm,seed,loss a,1,2 b,1,-inf", 3, "'loss' is -inf", "--lower"),
        ("arm,round,loss a,1,2 b,1,inf", 3, "'loss' is inf", "paired by seed"),
        ("arm,seed,loss a,1,2 b,1,2x", 3, "'2x', which is not a number", "with a point"),
        ("arm,seed,loss a,1,2 b,1,0", 3, "a ratio needs positive values", "--difference loss"),
        ("arm,seed,step,loss a,1,x,2", 2, "'x' is not a number", "whole number"),
        ("arm,seed,step,loss a,1,5,2 a,1,5,3", 3, "at step 5 is already in line 2", "one of the two"),
        ("arm,seed,metric,value a,1,loss,2 a,1,loss,3", 3, "is already in line 2", "one of the two"),
        (
            "arm,seed,metric,value,step a,1,loss,2,1 b,1,acc,1,1",
            3,
            "has no value for seed 1 of 'b'",
            "remove",
        ),
        ("arm,seed,metric,value a,1,x,2", 1, "nothing in the file is named 'loss'", "known: x"),
        ("arm,seed,step,loss a,1,1,", 1, "the column 'loss' has no value", "another"),
        ("arm,seed,loss", 1, "no rows", "add"),
    ],
)
def test_a_named_metric_must_be_complete(
    tmp_path: Path, text: str, line: int, message: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, lower=("loss",))
    assert str(caught.value.at).endswith(f"runs.csv:{line}")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_guessed_metric_that_is_not_complete_is_left_out_with_the_reason(tmp_path: Path) -> None:
    got = read(
        tmp_path,
        "arm,seed,good,hole,nan,text,late,zero,lr,none "
        "a,1,2,,nan,x,1,0,5, a,2,3,1,1,y,2,1,5, b,1,4,1,1,z,q,1,6,",
    )
    assert list(got.values) == ["good"]
    assert got.left_out == {
        "text": NO_NUMBERS,
        "hole": "is empty (line 2)",
        "none": NO_NUMBERS,
        "nan": "is NaN (line 2)",
        "late": "is 'q', which is not a number (line 4)",
        "zero": "is 0, and a ratio needs positive values (line 2)",
        "lr": "has one value in each arm, so it is a setting",
    }


def test_an_infinite_loss_is_a_value_if_lower_is_better(tmp_path: Path) -> None:
    got = read(tmp_path, "arm,seed,loss a,1,2 b,1,inf", lower=("loss",))
    assert got.values["loss"]["b", "1"].value == float("inf")


def test_json_values_are_numbers_or_texts_of_numbers(tmp_path: Path) -> None:
    lines = '{"arm":true,"seed":1,"x":2} {"arm":0.5,"seed":"1","x":"3"} {"arm":0.5,"seed":2,"x":4}'
    got = read(tmp_path, lines, "runs.jsonl")
    assert got.arms == ("true", "0.5")
    assert [one.value for one in got.values["x"].values()] == [2, 3, 4]
    with pytest.raises(InputError, match="'True', which is not a number"):
        read(tmp_path, '{"arm":"a","seed":1,"x":true}', "runs.jsonl", lower=("x",))


@pytest.mark.parametrize(
    ("limit", "message"), [("MOST_ARMS", "more than 1 arms"), ("MOST_PAIRS", "more than 1 seeds")]
)
def test_too_many_arms_or_pairs_end_the_reading_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, message: str
) -> None:
    monkeypatch.setattr(values, limit, 1 if limit == "MOST_ARMS" else {"seed": 1})
    with pytest.raises(InputError) as caught:
        read(tmp_path, "arm,seed,x a,1,2 b,2,2 broken")
    assert message in caught.value.message
    assert str(caught.value.at).endswith(":3")

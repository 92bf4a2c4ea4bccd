"""Tables are read, or refused with the line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.imported import table_file
from harness.imported.table_file import open_table


def written(folder: Path, content: str | bytes, name: str = "runs.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    table = open_table(written(tmp_path, '\ufeffarm,note,\r\n\r\na,"two\nlines",0\r\nb,,1\r\n'))
    assert table.columns == ("arm", "note")
    assert [(row.line, dict(row.cells)) for row in table.rows()] == [
        (4, {"arm": "a", "note": "two\nlines"}),
        (5, {"arm": "b", "note": ""}),
    ]


def test_json_objects_are_flattened_and_may_lack_keys(tmp_path: Path) -> None:
    text = '{"arm": "a", "config": {"seed": 1}}\n\n{"arm": "b", "loss": NaN}\n'
    table = open_table(written(tmp_path, text, "runs.jsonl"))
    assert table.columns == ("arm", "config.seed", "loss")
    assert [(row.line, sorted(row.cells)) for row in table.rows()] == [
        (1, ["arm", "config.seed"]),
        (3, ["arm", "loss"]),
    ]


@pytest.mark.parametrize(
    ("name", "content", "line", "message", "hint"),
    [
        ("runs.csv", "", 1, "the file is empty", "first line names the columns"),
        ("runs.csv", "arm;seed\na;1\n", 1, "separated by semicolons", "with commas"),
        ("runs.csv", "arm\tseed\n", 1, "separated by tabs", "with commas"),
        ("runs.csv", "arm,arm\n", 1, "two columns are named 'arm'", "rename"),
        ("runs.csv", "arm,loss\na,2,31\n", 2, "3 cells", "double quotes"),
        ("runs.csv", 'arm,loss\na,"2"x\n', 2, "not CSV", "double quotes"),
        ("runs.csv", b"arm,loss\na,1\n\xe4,2\n", 3, "byte 1 of the line is not UTF-8", "save it as UTF-8"),
        ("runs.csv", "arm,loss\n".encode("utf-16"), 1, "UTF-16", "save it as UTF-8"),
        ("runs.jsonl", "\n", 1, "the file is empty", "JSON object"),
        ("runs.jsonl", '{"arm": 1}\n[1]\n', 2, "not a JSON object", "one JSON object on each line"),
        ("runs.jsonl", '{"arm": 1}\n{"arm"\n', 2, "not a line of JSON", "one JSON object on each line"),
        ("runs.jsonl", '{"arm": 1, "arm": 2}\n', 1, "a key occurs twice", "one JSON object"),
        ("runs.jsonl", '{"a.b": 1, "a": {"b": 2}}\n', 1, "a key occurs twice", "one JSON object"),
        ("runs.jsonl", '{"a":' * 100_000 + "\n", 1, "not a line of JSON", "one JSON object"),
    ],
)
def test_what_is_not_a_table_is_refused(
    tmp_path: Path, name: str, content: str | bytes, line: int, message: str, hint: str
) -> None:
    path = written(tmp_path, content, name)
    with pytest.raises(InputError) as caught:
        list(open_table(path).rows())
    assert str(caught.value.at) == f"{path}:{line}"
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, message in (
        ("runs.xlsx", "ends with .csv or .jsonl"),
        ("absent.csv", "no such file"),
        ("folder.csv", "not a file"),
    ):
        with pytest.raises(InputError, match=message):
            open_table(tmp_path / name)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "LARGEST_FILE", 20)
    with pytest.raises(InputError, match="larger than"):
        open_table(written(tmp_path, "\x00" * 21))


def test_only_one_row_is_in_memory(tmp_path: Path) -> None:
    """The second row is broken, and is not read before it is asked for."""
    rows = open_table(written(tmp_path, "arm,loss\na,1\nb,1,1\n")).rows()
    assert next(rows).cells["arm"] == "a"
    with pytest.raises(InputError):
        next(rows)

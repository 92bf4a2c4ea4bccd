"""`harness query`: rows as a table, as JSON and as CSV."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.store.store import open_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with open_store(tmp_path / "harness.db"):
        return tmp_path / "harness.db"


def ask(store: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["query", *words, "--store", str(store)])


def test_rows_are_tab_separated_in_a_pipe(store: Path) -> None:
    done = ask(store, "SELECT 1 AS one, 'a' AS word, NULL AS missing UNION ALL SELECT 2, 'b', 3")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "one\tword\tmissing\n1\ta\t–\n2\tb\t3\n"


def test_json_has_the_names_of_the_columns(store: Path) -> None:
    done = ask(store, "SELECT 1 AS one, 2 AS one, 'x' AS word", "--json")
    assert json.loads(done.stdout) == [{"one": 1, "one_2": 2, "word": "x"}]


def test_csv_has_no_formulas(store: Path) -> None:
    done = ask(store, "SELECT '=1+1' AS formula, 'a,b' AS comma, -1.5 AS number", "--format", "csv")
    assert done.stdout == 'formula,comma,number\n\'=1+1,"a,b",-1.5\n'


def test_escapes_are_shown_and_not_sent_to_a_terminal(store: Path) -> None:
    assert ask(store, "SELECT char(27) || '[31m' AS red").stdout == "red\n\\x1b[31m\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["SELEC 1"], 'the database refuses the statement: near "SELEC": syntax error; views: run_list, '),
        (["DELETE FROM runs"], "only statements that read are allowed; ask with SELECT"),
        (["SELECT 1", "--format", "xml"], "unknown format 'xml'; use one of table, csv"),
    ],
)
def test_what_is_wrong_is_one_line(store: Path, words: list[str], said: str) -> None:
    done = ask(store, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1


def test_no_store_is_made(tmp_path: Path) -> None:
    done = ask(tmp_path / "none.db", "SELECT 1")
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []

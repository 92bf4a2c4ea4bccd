"""`harness list` in folders with and without studies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.store.store import open_store
from harness.study.shipped import SHIPPED, studies_in
from tests.support.invented_runs import invent_run
from tests.support.program_study import put_program
from tests.support.tiny_study import STUDY, put


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HARNESS_STORE", "HARNESS_RESULTS"):
        monkeypatch.delenv(name, raising=False)


def test_a_folder_without_studies_gets_those_that_ship_and_a_note_how_to_run_them() -> None:
    done = CliRunner().invoke(app, ["list"])
    names = [line.partition("\t")[0] for line in done.stdout.splitlines()[1:]]
    assert (done.exit_code, names) == (0, list(studies_in(SHIPPED)))
    assert "these ship with the harness: `harness run NAME` runs one" in done.stderr
    assert str(SHIPPED) in done.stderr


def test_a_folder_with_studies_lists_those() -> None:
    put(Path(), STUDY)
    done = CliRunner().invoke(app, ["list", "--json"])
    assert [row["study"] for row in json.loads(done.stdout)] == ["tiny"]


def test_a_run_with_a_planted_bug_is_not_listed_as_the_newest_run_of_its_study() -> None:
    study = put_program(Path())
    Path("results").mkdir()
    with open_store("results/harness.db") as store:
        plain = invent_run(store, study)
        invent_run(store, study, plant="cache-parity/no-offset")
    (row,) = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert row["newest_run"] == f"{plain.created_at[:16]} cpu"
    assert row["planted_run"].endswith(" cpu cache-parity/no-offset")
    assert "planted run" in CliRunner().invoke(app, ["list"]).stdout.splitlines()[0].replace("_", " ")


def test_a_folder_that_is_not_there_is_refused() -> None:
    done = CliRunner().invoke(app, ["list", "--folder", "nowhere"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "error: there is no folder nowhere; `harness list` shows the studies that ship\n"


def test_a_line_end_in_a_question_breaks_no_table() -> None:
    put(
        Path(),
        STUDY.replace("question: Does a cache", 'question: "Does\\n\\ta \\e[31mcache').replace(
            "r?", 'r?"', 1
        ),
    )
    lines = CliRunner().invoke(app, ["list"]).stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].count("\t") == lines[1].count("\t")
    assert "\tDoes a \\x1b[31mcache make" in lines[1]


@pytest.mark.parametrize("name", ["none", "x" * 5000, "\x1b]0;title\x07", "a/" * 3000])
def test_the_name_of_no_study_is_one_short_line(name: str) -> None:
    done = CliRunner().invoke(app, ["plan", name])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: there is no study ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.rstrip("\n").isprintable()
    assert len(done.stderr) < 1200

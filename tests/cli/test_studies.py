"""`harness list` in folders with and without studies, and `harness new` for every task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from harness.cli.app import app
from harness.metrics import declared
from harness.store.store import open_store
from harness.study.load import StudyFile
from harness.study.planning.plan import plan
from harness.study.reading.json_schema import study_schema
from harness.study.shipped import SHIPPED, studies_in
from harness.tasks.registry import TASKS
from tests.support.invented_runs import invent_run
from tests.support.program_study import put_program
from tests.support.tiny_study import STUDY, put

jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed completely")


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


@pytest.mark.parametrize("task", TASKS.shipped)
def test_the_new_study_of_every_task_plans_at_each_scale_and_fits_the_schema(task: str) -> None:
    done = CliRunner().invoke(app, ["new", "mine", "--task", task])
    assert (done.exit_code, done.stdout) == (0, "studies/mine.yaml\n")
    study = StudyFile(Path("studies/mine.yaml"))
    for scale in study.scales:
        (loaded,) = study.load(scale)
        assert loaded.study.task == task
        with declared(loaded.study.records):
            assert plan(loaded).trials
        assert loaded.study.design.exploratory == (scale == "smoke")
    validator = jsonschema.Draft202012Validator(study_schema())
    document = YAML(typ="safe", pure=True).load(Path("studies/mine.yaml").read_text())
    assert [error.message for error in validator.iter_errors(document)] == []


def test_a_new_study_does_not_replace_the_recipe_of_another_one() -> None:
    recipe = Path("studies/recipes/lm-tiny.yaml")
    recipe.parent.mkdir(parents=True)
    recipe.write_text("mine")
    assert CliRunner().invoke(app, ["new", "mine"]).exit_code == 0
    assert recipe.read_text() == "mine"


def test_a_study_of_an_unknown_task_is_refused_with_a_suggestion() -> None:
    done = CliRunner().invoke(app, ["new", "mine", "--task", "trian"])
    message = "there is no study to start from for task 'trian'; did you mean 'train'?"
    assert (done.exit_code, done.stderr) == (2, f"error: {message}\n")
    assert not Path("studies").exists()

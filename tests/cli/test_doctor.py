"""`harness doctor` as a person and as a program read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.doctor import checks
from harness.doctor.checks import load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(load, "WATCHED_S", 0.05)
    return tmp_path


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_the_table_has_every_finding_and_the_exit_code_is_that_of_success(folder: Path) -> None:
    done = doctor("--results", "r", "--reports", "p")
    assert done.exit_code == 0
    head, *rows = done.stdout.splitlines()
    assert head.split("\t") == ["state", "subject", "seen", "meaning", "advice"]
    assert {row.split("\t")[0] for row in rows} <= {"ok", "limited", "missing"}
    assert len(rows) >= len(list(Path(str(checks.__file__)).parent.glob("[a-z]*.py")))
    assert any(row.split("\t")[2].startswith("r: ") for row in rows)
    assert f"{folder}/cache: " in done.stdout
    assert done.stderr.count("missing") == 1
    assert list(folder.iterdir()) == [], "it makes no folder"


def test_json_has_the_same_fields(folder: Path) -> None:
    done = doctor("--json")
    assert done.exit_code == 0
    findings = json.loads(done.stdout)
    assert {tuple(finding) for finding in findings} == {("subject", "state", "seen", "meaning", "advice")}
    assert done.stderr == ""


@pytest.mark.usefixtures("folder")
def test_a_url_that_is_wrong_is_bad_input() -> None:
    done = doctor("--store", "mongodb://host/x")
    assert done.exit_code == 2
    assert "a store cannot be a database of the kind 'mongodb'" in done.stderr

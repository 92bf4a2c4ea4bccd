"""`harness report --all` writes a page that can be verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.store.store import open_store
from tests.support.invented_runs import invent_run
from tests.support.program_study import put_program

Asked = Callable[..., Result]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    for name in ("HARNESS_STORE", "HARNESS_RESULTS", "HARNESS_REPORTS"):
        monkeypatch.delenv(name, raising=False)
    study = put_program(tmp_path / "project")
    (tmp_path / "results").mkdir()
    with open_store("results/harness.db") as store:
        invent_run(store, study)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    assert run("report", str(study)).exit_code == 0
    return run


def test_the_page_links_the_reports_and_follows_from_the_store(asked: Asked) -> None:
    done = asked("report", "--all", "--json")
    assert json.loads(done.stdout)["studies"][0]["reports"] == ["mine.html"]
    page = Path("reports/index.html").read_text()
    assert 'href="mine.html"' in page
    assert asked("verify", "reports/index.html").exit_code == 0
    asked("report", "--all")
    assert Path("reports/index.html").read_text() == page


def test_a_number_that_was_changed_is_detected(asked: Asked) -> None:
    asked("report", "--all")
    page = Path("reports/index.html")
    assert page.read_text().count("0.960 ×") > 1
    page.write_text(page.read_text().replace("0.960 ×", "0.860 ×", 1))
    done = asked("verify", str(page))
    assert done.exit_code == 5
    assert "0.860" in done.stderr


def test_all_studies_and_one_do_not_go_together(asked: Asked) -> None:
    done = asked("report", "mine", "--all")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--all is about all studies" in done.stderr

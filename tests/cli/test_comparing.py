"""`harness compare`: differences first, then effects and verdicts side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.store.store import open_store
from tests.support.invented_runs import MACHINE, invent_run
from tests.support.program_study import put_program

OTHER = {**MACHINE, "cpu": "Other 1", "packages": {"torch": "2.8"}}


@dataclass(frozen=True)
class Stored:
    """A run, the same with another setting, code and machine, and one of a study with another arm."""

    folder: Path
    here: str
    there: str
    changed: str

    def asked(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["compare", *words, "--results", str(self.folder)])

    def answer(self, *words: str) -> Any:
        done = self.asked(*words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("compare")
    study = put_program(folder / "project")
    more = put_program(folder / "other", ("[0, 1000]", "[0, 1000, 2000]"))
    with open_store(folder / "harness.db") as store:
        here = invent_run(store, study)
        there = invent_run(store, study, "design.seeds=8", code="beef" * 16, machine=OTHER, ratio=1.05)
        changed = invent_run(store, more)
    return Stored(folder, here.id, there.id, changed.id)


def test_everything_that_differs_is_listed_with_both_values(stored: Stored) -> None:
    answer = stored.answer(stored.here, stored.there)
    assert [(one["path"], one["values"]) for one in answer["differences"]] == [
        ("design.seeds", ["6", "8"]),
        ("code", ["c0de" * 16, "beef" * 16]),
        ("cpu", ["Example 9000", "Other 1"]),
        ("packages.torch", ["2.9", "2.8"]),
    ]
    assert [(run["name"], run["run"]) for run in answer["runs"]] == [("A", stored.here), ("B", stored.there)]


def test_effects_and_verdicts_stand_side_by_side_as_each_run_has_them(stored: Stored) -> None:
    answer = stored.answer(stored.here, stored.there)
    [loss] = [row for row in answer["effects"] if row["metric"] == "val_loss"]
    here, there = loss["cells"]
    assert (here["figures"][0], there["figures"][0]) == pytest.approx((0.96, 1.05), rel=1e-3)
    assert (here["n"], there["n"]) == (6, 8)
    assert (here["verdict"], there["verdict"]) == ("better", "worse")
    verdicts = {row["claim"]: [cell["verdict"] for cell in row["cells"]] for row in answer["claims"]}
    assert verdicts["lower"] == ["confirmed", "refuted"]
    assert answer["not_comparable"] == []


def test_what_only_one_run_has_is_not_compared(stored: Stored) -> None:
    answer = stored.answer(stored.here, stored.changed, stored.there)
    assert "The arm warmup=2000 is only in B." in answer["not_comparable"]
    assert {row["arm"] for row in answer["effects"]} == {"warmup=1000"}
    assert all(len(row["cells"]) == 3 for row in answer["effects"])


def test_the_text_has_the_differences_before_the_effects_and_says_what_it_is_not(stored: Stored) -> None:
    text = stored.asked(stored.here, stored.there).stdout
    assert text.index("design.seeds\t6\t8") < text.index("0.960 ×")
    assert "were not measured together" in text
    again = stored.asked(stored.here, stored.here)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "at least two different runs" in again.stderr


def test_an_unknown_run_is_refused(stored: Stored) -> None:
    done = stored.asked(stored.here, "none")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no run and no trial 'none'" in done.stderr

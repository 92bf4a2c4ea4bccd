"""`harness show`: one trial with everything that is stored about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.store.store import open_store
from tests.support.clock import JUMPS, set_clock
from tests.support.invented_runs import invent_run
from tests.support.program_study import put_program
from tests.support.stored_run import create, finish, trial


@pytest.mark.parametrize("days", JUMPS)
def test_a_trial_is_shown_as_the_run_that_was_created_last_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    spec = trial()
    with open_store(tmp_path / "harness.db") as store:
        for clock in (days, -days):
            set_clock(monkeypatch, clock)
            run = create(store, trials=[spec])
            finish(store, run, spec)
    done = CliRunner().invoke(app, ["show", spec.id, "--results", str(tmp_path), "--json"])
    assert json.loads(done.stdout)["run"] == run.id


def test_a_run_with_a_planted_bug_says_so_first(tmp_path: Path) -> None:
    study = put_program(tmp_path)
    with open_store(tmp_path / "harness.db") as store:
        run = invent_run(store, study, plant="cache-parity/no-offset")
        trial_id = store.trials(run)[0].spec_id
    command = ["show", trial_id, "--results", str(tmp_path)]
    shown = CliRunner().invoke(app, command)
    assert shown.stdout.startswith("planted bug: cache-parity/no-offset; no number of this run")
    data = json.loads(
        CliRunner().invoke(app, ["show", trial_id, "--results", str(tmp_path), "--json"]).stdout
    )
    assert data["plant"] == "cache-parity/no-offset"


def test_a_study_is_shown_with_the_numbers_of_its_report_and_in_json_with_all_digits(tmp_path: Path) -> None:
    study = put_program(tmp_path)
    with open_store(tmp_path / "harness.db") as store:
        run = invent_run(store, study)
    command = ["show", "--run", run.id, str(study), "--results", str(tmp_path)]
    lines = [line.split("\t") for line in CliRunner().invoke(app, command).stdout.splitlines()]
    shown = {line[0]: line[2] for line in lines if line[1] in ("confirmed", "refuted", "undecided")}
    data = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    effects = {claim["id"]: claim["effect"] for claim in data["claims"]}
    assert shown["lower"] == f"{effects['lower']:.3f} ×" != f"{effects['lower']} ×"

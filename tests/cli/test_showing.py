"""`harness show`: one trial with everything that is stored about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.store.store import open_store
from tests.support.clock import JUMPS, set_clock
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

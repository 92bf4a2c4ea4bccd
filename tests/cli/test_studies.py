"""`harness list`: the newest run of each study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.store.store import open_store
from tests.support.clock import JUMPS, set_clock
from tests.support.stored_run import create
from tests.support.tiny_study import put


@pytest.mark.parametrize("days", JUMPS)
def test_the_newest_run_of_a_study_was_created_last_whatever_the_clock_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    put(tmp_path)
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / "results" / "harness.db") as store:
        set_clock(monkeypatch, days)
        create(store, study="tiny", scale="cpu")
        set_clock(monkeypatch, -days)
        last = create(store, study="tiny", scale="smoke")
    [row] = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert row["newest_run"] == f"{last.created_at[:16]} smoke"

"""A study with an arm of two processes, from the command to the stored rows, in real processes."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.experiment import devices
from tests.support.two_ranks import put_two_ranks


def test_an_arm_of_two_processes_is_measured_and_leaves_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)
    put_two_ranks(tmp_path)
    before = set(psutil.Process().children(recursive=True))
    ended = CliRunner().invoke(app, ["run", "two_ranks", "--scale", "smoke", "--device", "cpu"])
    assert ended.exit_code == 0, ended.output
    assert set(psutil.Process().children(recursive=True)) <= before
    shown = CliRunner().invoke(app, ["show", "two_ranks", "--scale", "smoke", "--json"])
    trials = {row["arm"]: row for row in json.loads(shown.stdout)["trials"]}
    assert {arm: trial["state"] for arm, trial in trials.items()} == {
        "ranks=one": "finished",
        "ranks=two": "finished",
    }
    tokens = 4 * 16
    for trial in trials.values():
        speed, seconds = (trial["metrics"][name] for name in ("training_tokens_per_second", "update_seconds"))
        assert speed * seconds == pytest.approx(tokens, rel=0.5)  # medians over two units

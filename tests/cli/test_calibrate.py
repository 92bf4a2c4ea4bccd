"""`harness calibrate`: a calibration that plans use, the error rates of the analysis, and bad input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import harness.calibrate.machine
from harness.calibrate.ceilings import limits
from harness.calibrate.machine import Effort
from harness.calibrate.simulate import aa_study
from harness.cli.app import app
from harness.machine.calibration import Calibration
from harness.store.store import open_store
from harness.study.loaded import LoadedStudy
from tests.end_to_end.in_process import InProcess
from tests.end_to_end.workplace import Workplace

SHORT = {
    "generation": ["base.new_tokens=4", "base.prompts.tokens=4", "base.units=1"],
    "training": ["base.updates=3", "base.evaluate_every=3", "base.batch=2", "base.length=16"],
}


def short_aa_study(study: Path, settings: Sequence[str]) -> LoadedStudy:
    """The shipped study of calibration, whose trials take as little time as can be."""
    return aa_study(study, [*SHORT[study.stem], *settings])


@pytest.fixture
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Commands and their trials run in this process, and the limits of the machine are measured quickly."""
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    monkeypatch.setattr(
        "harness.machine.environment.usable_cores", lambda: 1
    )  # simulations run in this process
    monkeypatch.setattr("harness.calibrate.machine.aa_study", short_aa_study)
    monkeypatch.setattr("harness.calibrate.error_rates.aa_study", short_aa_study)
    monkeypatch.setattr("harness.calibrate.error_rates._FEWEST_TOKENS", 4)
    monkeypatch.setattr(harness.calibrate.machine, "QUICK", Effort(seconds=0.3, rounds=6))
    monkeypatch.setattr(
        harness.calibrate.machine,
        "measured_limits",
        lambda _gpu, seconds: limits(threads=1, device="cpu", seconds=seconds),
    )
    return workplace


def harness_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def answer(*arguments: str) -> Any:
    done = harness_(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_calibration_is_stored_printed_and_used_by_the_plan(
    here: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scatter of such short trials would need thousands of rounds, so a smaller one stands for it."""
    measured = harness.calibrate.machine._sigma
    monkeypatch.setattr(harness.calibrate.machine, "_sigma", lambda one: 0.08 if measured(one) > 0 else 0.0)
    refused = harness_("plan", "tiny", "--set", "design.rounds=calibrated")
    assert (refused.exit_code, "has not been calibrated; run `harness calibrate`" in refused.stderr) == (
        2,
        True,
    )
    before = answer("plan", "tiny")
    assert before["rounds"] == {"planned": 10, "recommended": None}
    assert "not calibrated" in harness_("plan", "tiny").stdout
    data = answer("calibrate", "--quick")
    calibration = Calibration.read(data["facts"])
    assert calibration.quick
    assert set(calibration.limits.matmul) == {"fp64", "fp32", "bf16", "fp16"}
    assert (
        min(
            calibration.limits.matmul["fp32"] or 0,
            calibration.limits.read_bandwidth,
            calibration.limits.copy_bandwidth,
        )
        > 1e8
    )
    assert 0 < calibration.limits.timer_step_ns < 1e6
    scatter = {one.metric: one for one in calibration.scatter}
    assert {"decode_tokens_per_second", "training_tokens_per_second", "peak_tensor_bytes"} <= set(scatter)
    assert scatter["peak_tensor_bytes"].sigma == 0.0
    assert {one.rounds for one in calibration.scatter} == {6}
    with open_store(here.database) as store:
        runs = {run.id: run for run in store.runs()}
        assert {one.run for one in calibration.scatter} == set(runs)
        digest = next(iter(runs.values())).environment_digest
        row = store.calibration(digest)
    assert row is not None
    assert row.facts == data["facts"]
    needed = data["rounds_needed"]["decode_tokens_per_second"]
    assert needed == 25
    assert answer("plan", "tiny")["rounds"] == {"planned": 10, "recommended": needed}
    assert f"{needed:,} rounds are recommended for a margin of ± 5 %" in harness_("plan", "tiny").stdout
    assert answer("plan", "tiny", "--set", "design.rounds=calibrated")["rounds"]["planned"] == needed


def test_real_comparisons_of_a_baseline_with_itself(here: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "harness.calibrate.error_rates.expected", lambda studies, _size: (0, studies)
    )  # every number is within the bounds
    data = answer("calibrate", "--real", "2")
    assert data["studies"] == 2
    assert data["rounds"] == 10
    assert 0 <= data["excluding_zero"] <= 2
    with open_store(here.database) as store:
        (run,) = store.runs()
        assert run.id in data["source"]
        assert len({(row.arm, row.condition["new_tokens"]) for row in store.trials(run) if row.arm}) == 4


def test_the_error_rates_of_the_analysis_are_printed(
    here: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.cli.calibrate.POWER_STUDIES", 5)
    monkeypatch.setattr("harness.cli.calibrate.PLANTED", 10)
    monkeypatch.setattr("harness.calibrate.error_rates.ARMS", (2,))
    data = answer("calibrate", "--aa", "10", "--power")
    assert (data["studies"], data["planted"], data["at_margin"]) == (10, 10, 5)
    assert data["detected"] >= data["least_detected"] == 7
    assert [(one["noise"], one["arms"], one["studies"]) for one in data["disturbed"]] == [
        ("carry-over of 5 %", 2, 10),
        ("first place 10 % slower", 2, 10),
        ("drift of 1 % per trial of a round", 2, 10),
    ]
    assert not here.database.exists()


def test_figures_outside_their_bounds_are_printed_and_end_with_5(
    here: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.calibrate.error_rates.expected", lambda _studies, _size: (0, -1))
    monkeypatch.setattr("harness.calibrate.error_rates.ARMS", (2,))
    done = harness_("calibrate", "--aa", "5", "--json")
    assert done.exit_code == 5
    assert json.loads(done.stdout)["studies"] == 5
    assert "interval that excludes zero (acceptable: 0 to -1)" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--aa", "0"), ("--aa", "-3"), ("--real", "0"), ("--aa", "10", "--real", "10"), ("--aa", "many")],
)
def test_bad_input_ends_with_2_and_nothing_written(here: Workplace, arguments: tuple[str, ...]) -> None:
    assert harness_("calibrate", *arguments).exit_code == 2
    assert not here.database.exists()

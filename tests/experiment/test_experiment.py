"""An experiment in Python: load, run, frame, verdicts, report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import InputError, StudyError
from harness.machine.environment import Environment
from harness.report.inputs import ReportInput
from harness.report.source import report_input
from harness.telemetry.nvml import Gpu
from tests.end_to_end.in_process import Scripted, obedient
from tests.end_to_end.workplace import Workplace


@pytest.fixture(autouse=True)
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    return workplace


def test_a_study_is_run_and_read_from_python(new_workplace: Callable[[], Workplace]) -> None:
    program = """
import harness
settings = ["base.new_tokens=8", "base.prompts.count=1"]
experiment = harness.load("tiny", scale="least", settings=settings).run()
spent = experiment.frame().query("metric == 'cache_bytes' and arm == 'cache=dynamic'")["value"].unique()
print(sorted(experiment.verdicts()["id"]), spent.tolist())
print(experiment.report())
again = harness.load("tiny", scale="least", settings=settings)
assert again.frame().equals(experiment.frame())
"""
    workplace = new_workplace()
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        check=False,
        cwd=workplace.folder,
        env=workplace.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, report = done.stdout.splitlines()
    one_row = 2 * 15 * 16 * 4  # keys and values, 8 + 8 - 1 positions, d_model 16, 4 bytes
    assert first == f"['bytes', 'fast', 'grows', 'same'] [{one_row}.0]"
    assert (workplace.folder / report).read_text(encoding="utf-8").count("<h1>") == 1


def test_a_run_is_analysed_once_until_its_trials_change(
    here: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which samples the trials have is of no interest here, so they have none."""
    monkeypatch.setattr(
        "harness.run.backends.local.LocalBackend", lambda **_: nullcontext(Scripted(obedient))
    )
    analysed = 0

    def counted(*arguments: Any) -> ReportInput:
        nonlocal analysed
        analysed += 1
        return report_input(*arguments)

    monkeypatch.setattr("harness.report.source.report_input", counted)
    experiment = harness.load("tiny", scale="least").run()
    experiment.judge()
    experiment.report()
    assert len(experiment.verdicts()) == len(experiment.analysis().claims) == 4
    assert analysed == 1
    experiment.run(fresh=True).verdicts()
    assert analysed == 2


def test_importing_harness_imports_nothing_else() -> None:
    heavy = "m.split('.')[0] in ('torch', 'pydantic', 'pandas')"
    program = f"import sys, harness; print(sorted(m for m in sys.modules if {heavy}))"
    assert subprocess.check_output([sys.executable, "-P", "-c", program], text=True) == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        harness.lode  # noqa: B018


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("design.round=3", "--set design.round=3: unknown key 'round' in design; did you mean 'rounds'?"),
        ("design.rounds=many", "--set design.rounds=many: design.rounds: expected an integer, found 'many'"),
        (
            "design.rounds",
            "--set design.rounds: a setting must have the form path=value, for example design.rounds=20",
        ),
        (
            "study=other",
            "--set study=other: a setting must have the form path=value, for example design.rounds=20",
        ),
        (
            "question.more=3",
            "--set question.more=3: question.more cannot be set: part of this path is not a mapping",
        ),
    ],
)
def test_the_error_names_a_wrong_setting_as_it_was_given(setting: str, message: str) -> None:
    with pytest.raises(StudyError) as error:
        harness.load("tiny", settings=[setting])
    assert str(error.value) == message


def test_a_setting_changes_the_digest_of_the_study() -> None:
    plain, other, same = (
        harness.load("tiny", settings=settings).parts[0].study
        for settings in ([], ["base.prompts.count=3"], ["base.prompts.count=3"])
    )
    assert other.base["prompts"]["count"] == 3
    assert plain.digest != other.digest == same.digest


def test_the_scale_follows_the_device(monkeypatch: pytest.MonkeyPatch, here: Workplace) -> None:
    study = here.folder / "studies" / "tiny.yaml"
    study.write_text(study.read_text() + "  gpu:\n    design: {rounds: 8}\n")
    assert harness.load("tiny").parts[0].scale == "cpu"
    card = Gpu(uuid="GPU-1", name="card", memory_bytes=1 << 34, driver="1")
    with_gpu = harness.experiment.this_machine._environment().model_copy(update={"gpus": (card,)})

    def with_a_card() -> Environment:
        return with_gpu

    monkeypatch.setattr("harness.experiment.this_machine._environment", with_a_card)
    assert harness.load("tiny").parts[0].scale == "gpu"
    assert harness.load("tiny", device="cpu").parts[0].scale == "cpu"
    assert harness.load("tiny", scale="smoke").parts[0].scale == "smoke"
    with pytest.raises(InputError, match="there is no device 'GPU-2'; did you mean 'GPU-1'"):
        harness.load("tiny", device="GPU-2")


def test_reading_results_before_a_run_names_the_command(tmp_path: Path) -> None:
    workspace = harness.Workspace(results=tmp_path / "none")
    with pytest.raises(InputError, match=r"there are no results at .*harness run"):
        harness.load("tiny", workspace=workspace).frame()
    assert list(tmp_path.iterdir()) == []

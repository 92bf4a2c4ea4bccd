"""A study about something that the machine does not measure is refused before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.errors import InputError
from harness.experiment import load
from harness.experiment.measurable import check_measured, check_objectives_measured, not_measured
from harness.metrics import ENERGY_METRICS, METRICS
from harness.study.loaded import LoadedStudy
from tests.support.fake_gpus import INSTANCES, NOT_SUPPORTED, A, FakeGpus
from tests.support.searched_study import POINTS, SEARCHED
from tests.support.tiny_study import STUDY, loaded, patched, put

CLAIM = (
    "  less: {{source: here, says: It needs less energy., level: {{cache: dynamic}}, at: {{new_tokens: 32}}, "
    "direction: better, "
    "metric: {metric}}}\n"
)
PRIMARY = ("primary: decode_tokens_per_second\n", "primary: cpu_energy_joules\n")
ON_CPU = "the trials run on the CPU"


@pytest.fixture(autouse=True)
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the counters of the processor would be."""
    monkeypatch.setattr("harness.experiment.measurable.POWERCAP", tmp_path / "powercap")
    return tmp_path / "powercap"


def claimed(metric: str) -> tuple[str, str]:
    return ("scales:\n", f"{CLAIM.format(metric=metric)}scales:\n")


def study(folder: Path, *patches: tuple[str, str], scale: str = "cpu") -> LoadedStudy:
    return loaded(folder, *patches, scale=scale)


def show_counters(powercap: Path) -> None:
    zone = powercap / "intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in {"name": "package-0", "max_energy_range_uj": "1000", "energy_uj": "5"}.items():
        (zone / name).write_text(f"{text}\n")


def test_metrics_of_energy_and_of_a_gpu_need_something() -> None:
    assert {name for name, record in METRICS.items() if record.needs} == {
        *ENERGY_METRICS,
        "peak_device_bytes",
    }


def test_energy_of_the_processor_needs_its_counters(tmp_path: Path, powercap: Path) -> None:
    part = study(tmp_path, PRIMARY, claimed("cpu_joules_per_token"))
    reason = f"this machine shows no energy counter of a processor in {powercap} (RAPL)"
    claims = {missing.subject: (missing.metric, missing.reason) for missing in not_measured(part, A)}
    assert claims["the primary metric"] == ("cpu_energy_joules", reason)
    assert claims["claim 'less'"] == ("cpu_joules_per_token", reason)
    show_counters(powercap)
    assert list(not_measured(part, None)) == []


def test_energy_of_a_gpu_needs_one_that_shows_it(tmp_path: Path, fake_gpus: FakeGpus) -> None:
    part = study(tmp_path, claimed("gpu_joules_per_token"))

    def reasons(gpu: str | None) -> list[str]:
        return [missing.reason for missing in not_measured(part, gpu)]

    assert reasons(None) == [ON_CPU]
    assert reasons(A) == []
    fake_gpus(STUB_FAIL="energy", STUB_CODE=NOT_SUPPORTED)  # its power is integrated
    assert reasons(A) == []
    fake_gpus(STUB_FAIL="energy power", STUB_CODE=NOT_SUPPORTED)
    assert reasons(A) == ["NVML: Not Supported"]
    fake_gpus(STUB_MIG="2")
    assert reasons(INSTANCES[0]) == ["NVML: Not Supported"]


def test_memory_of_a_gpu_needs_only_the_gpu() -> None:
    check_objectives_measured(["peak_device_bytes", "validation_loss"], A)
    with pytest.raises(InputError, match=f"the search needs peak_device_bytes, .*: {ON_CPU}"):
        check_objectives_measured(["peak_device_bytes"], None)


def test_what_has_no_verdict_is_only_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    with pytest.raises(InputError, match="claim 'less' needs gpu_energy_joules"):
        check_measured([study(tmp_path, claimed("gpu_energy_joules"))], None, notes.append)
    assert notes == []
    check_measured([study(tmp_path, claimed("gpu_energy_joules"), scale="smoke")], None, notes.append)
    known = f"claim 'less' needs gpu_energy_joules, which this machine does not measure: {ON_CPU}"
    assert notes == [known]


def test_run_refuses_and_plan_says_so(
    tmp_path: Path, powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, patched(STUDY, claimed("cpu_energy_joules")))
    files = set(tmp_path.rglob("*"))
    reason = f"this machine shows no energy counter of a processor in {powercap} (RAPL)"
    line = f"claim 'less' needs cpu_energy_joules, which this machine does not measure: {reason}"
    run = CliRunner().invoke(app, ["run", "tiny"])
    assert run.exit_code == 2
    assert run.stderr == (
        f"error: studies/tiny.yaml: {line}; `harness doctor` says what to do; without this metric, the study "
        "runs here\n"
    )
    assert set(tmp_path.rglob("*")) == files
    plan = CliRunner().invoke(app, ["plan", "tiny"])
    assert plan.exit_code == 0
    assert f"{line}, so `harness run` refuses the study here" in " ".join(plan.stdout.split())
    data = json.loads(CliRunner().invoke(app, ["plan", "tiny", "--json"]).stdout)
    assert data["not_measured"] == [line]


def test_a_search_for_energy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it begins, and not only when its best point is to be proven."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path, patched(SEARCHED, (POINTS, f"{POINTS}  objective: gpu_energy_joules\n")))
    experiment = load("tiny", device="cpu").searching()
    with pytest.raises(InputError, match=r"the search needs gpu_energy_joules"):
        experiment.run()

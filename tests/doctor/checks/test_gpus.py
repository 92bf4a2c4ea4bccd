"""NVML's own bindings over a library without hardware."""

from __future__ import annotations

import importlib.metadata

import pytest

from harness.doctor.checks.gpus import check_gpus
from harness.telemetry import nvml
from tests.doctor.conftest import FakeMachine
from tests.support.fake_gpus import DRIVER_NOT_LOADED, NOT_SUPPORTED, A, B, FakeGpus


@pytest.fixture(autouse=True)
def torch_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.13.0+cu130")


def test_gpus_with_other_programs_and_a_reduced_clock(fake: FakeMachine, fake_gpus: FakeGpus) -> None:
    findings = fake.findings(check_gpus)
    assert list(findings) == [f"GPU {A}", f"GPU {B}"]
    busy = findings[f"GPU {B}"]
    assert busy.state == "limited"
    assert "other program" in busy.seen
    assert "throttled (hardware thermal, power cap)" in busy.seen
    assert "other programs share the GPU with a trial; its clock is lower than it could be" in busy.meaning


def test_values_that_the_driver_does_not_give(fake: FakeMachine, fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_FAIL="utilisation:0", STUB_CODE=NOT_SUPPORTED)
    finding = fake.findings(check_gpus)[f"GPU {A}"]
    assert finding.state == "limited"
    assert "not recorded: utilisation (" in finding.meaning


def test_a_driver_that_is_not_loaded(fake: FakeMachine, fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_FAIL="init", STUB_CODE=DRIVER_NOT_LOADED)
    finding = fake.only(check_gpus)
    assert (finding.subject, finding.state) == ("GPUs (NVML)", "missing")
    assert "Driver" in finding.seen


def test_an_nvml_that_hangs_ends_with_a_finding(
    fake: FakeMachine, fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml, "INIT_LIMIT_S", 0.2)
    fake_gpus(STUB_HANG="init")
    finding = fake.only(check_gpus)
    assert (finding.state, finding.seen) == ("missing", "NVML did not answer within 0.2 s")


def test_a_torch_without_cuda(
    fake: FakeMachine, fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.13.0+cpu")
    finding = fake.findings(check_gpus)["torch"]
    assert (finding.state, finding.seen) == ("limited", "version 2.13.0+cpu is built without CUDA")

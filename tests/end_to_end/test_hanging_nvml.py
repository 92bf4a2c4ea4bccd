"""A driver of a GPU that hangs: commands say so once, and do what they can without a GPU."""

from __future__ import annotations

import psutil
import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.telemetry import nvml
from tests.end_to_end.workplace import LEAST, Workplace
from tests.support.fake_gpus import FakeGpus


def test_an_nvml_that_hangs_hangs_no_command(
    in_process: Workplace,
    fake_gpus: FakeGpus,
    nvml_processes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_gpus(STUB_HANG="init")
    monkeypatch.setattr(nvml, "INIT_LIMIT_S", 0.5)
    why = "no GPU can be used: NVML did not answer within 0.5 s"
    for command in (("plan", *LEAST[1:]), (*LEAST, "--device", "cpu")):
        done = CliRunner().invoke(app, list(command))
        assert done.exit_code == 0, done.output
        assert done.output.count(why) == 1
    assert [psutil.pid_exists(pid) for pid in nvml_processes] == [False]  # it was asked once

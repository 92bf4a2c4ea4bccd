"""A study with more processes than the machine has devices is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.errors import InputError
from harness.experiment import devices
from harness.experiment.devices import check_devices
from harness.study.load import load_study
from tests.support.fake_gpus import A, FakeGpus
from tests.support.two_ranks import put_two_ranks


def test_more_ranks_than_cores_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "usable_cores", lambda: 1)
    put_two_ranks(tmp_path)
    files = set(tmp_path.rglob("*"))
    run = CliRunner().invoke(app, ["run", "two_ranks", "--device", "cpu"])
    assert run.exit_code == 2
    assert run.stderr == (
        "error: studies/two_ranks.yaml: arm 'ranks=two' runs in 2 processes, but this machine has 1 usable "
        "core; leave the arm out with a scale or with --set, or use a machine with more cores\n"
    )
    assert set(tmp_path.rglob("*")) == files


def test_as_many_ranks_as_cores_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)
    check_devices(load_study(put_two_ranks(tmp_path), "cpu"), None)


def test_more_ranks_than_gpus_are_refused(
    tmp_path: Path, fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = load_study(put_two_ranks(tmp_path), "cpu")
    check_devices(parts, A)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", A)
    with pytest.raises(InputError, match="2 processes need 2 GPUs, but there is 1"):
        check_devices(parts, A)

"""What the actor on a node does with its variables, folders and GPUs. No cluster is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.run.backends.ray_node import assigned_gpu, check_folders, set_variables
from harness.telemetry.nvml import NvmlReader
from tests.support.fake_gpus import A, B, FakeGpus


def test_variables_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself sets OMP_NUM_THREADS."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_CBWR", "AVX")
    set_variables({"OMP_NUM_THREADS": None, "MKL_CBWR": "COMPATIBLE", "KMP_BLOCKTIME": None})
    names = ("OMP_NUM_THREADS", "MKL_CBWR", "KMP_BLOCKTIME")
    assert [os.environ.get(name) for name in names] == [None, "COMPATIBLE", None]


def test_a_folder_that_is_missing_names_the_node(tmp_path: Path) -> None:
    check_folders([str(tmp_path)], "n7")
    with pytest.raises(InputError, match=r"the node n7 does not have the folder .*/gone; --results"):
        check_folders([str(tmp_path), str(tmp_path / "gone")], "n7")


@pytest.mark.parametrize("uuid", [A, B])
def test_the_gpu_that_ray_gives_is_known_by_its_uuid(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch, uuid: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", uuid)
    with NvmlReader() as nvml:
        assert assigned_gpu(nvml, "n7") == uuid


def test_without_a_gpu_of_ray_a_trial_that_needs_one_is_refused(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with NvmlReader() as nvml, pytest.raises(InputError, match="the node n7 has no GPU that can be used"):
        assigned_gpu(nvml, "n7")

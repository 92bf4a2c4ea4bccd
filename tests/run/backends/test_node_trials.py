"""Which GPU a trial has on a node. No cluster is needed."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.run.backends.node_trials import assigned_gpu
from harness.telemetry.nvml import NvmlReader
from tests.support.fake_gpus import A, B, FakeGpus


@pytest.mark.parametrize("uuid", [A, B])
def test_the_gpu_that_the_cluster_gives_is_known_by_its_uuid(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch, uuid: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", uuid)
    with NvmlReader() as nvml:
        assert assigned_gpu(nvml, "n7") == uuid


def test_without_a_gpu_of_the_cluster_a_trial_that_needs_one_is_refused(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with NvmlReader() as nvml, pytest.raises(InputError, match="the node n7 has no GPU that can be used"):
        assigned_gpu(nvml, "n7")

"""Which GPU the harness takes, over libraries in which CUDA and NVML number two GPUs differently."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from harness.errors import InputError
from harness.experiment.this_machine import this_machine
from harness.machine.visible_gpus import gpus_for, visible_gpus
from harness.telemetry.nvml import Gpu
from tests.support.fake_gpus import INSTANCES, A, B, FakeGpus

GPUS = tuple(Gpu(uuid, "Stub", 1, "1") for uuid in (A, B))


def no_start(*_: Any, **__: Any) -> None:
    raise AssertionError("a process was started")


@pytest.mark.parametrize(
    ("visible", "chosen"),
    [
        (None, (A, B)),
        ("", ()),
        ("-1", ()),
        (B, (B,)),
        (f"{B}, {A}", (B, A)),
        ("GPU-bbbb", (B,)),
        (INSTANCES[0], (INSTANCES[0],)),
    ],
)
def test_uuids_need_no_answer_of_cuda(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, chosen: tuple[str, ...]
) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_start)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    instance = Gpu(INSTANCES[0], "Stub", 1, "1")
    gpus = (*GPUS, instance) if chosen == (instance.uuid,) else GPUS
    assert visible_gpus(gpus) == chosen


def test_a_number_counts_as_cuda_counts(fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert visible_gpus(GPUS) == (B,)
    here, chosen = this_machine("auto")
    assert ([gpu.uuid for gpu in here.gpus], chosen) == ([A, B], B)


def test_a_number_without_an_answer_of_cuda_is_not_guessed(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpus(STUB_CUDA="3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES=0 may mean any of the 2 GPUs: CUDA: cuInit"):
        visible_gpus(GPUS)


def test_the_cpu_is_taken_if_no_gpu_is_visible(fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert this_machine("auto")[1] is None
    assert this_machine(B)[1] == B


def test_a_trial_with_several_processes_gets_its_gpu_first_and_then_others(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpus_for(B, 1) == (B,)
    assert gpus_for(B, 2) == (B, A)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", A)
    with pytest.raises(InputError, match="3 processes need 3 GPUs, but there are 2"):
        gpus_for(B, 3)

"""Two GPUs that are not there: NVIDIA's libraries, compiled from C, which the real nvidia-ml-py loads."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.telemetry import nvml
from harness.telemetry.nvml import NvmlReader

A, B = "GPU-aaaa1111-0000-0000-0000-000000000000", "GPU-bbbb2222-0000-0000-0000-000000000000"
INSTANCES = ("MIG-aaaa1111-0000-0000-0000-000000000001", "MIG-aaaa1111-0000-0000-0000-000000000002")
NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, GPU_IS_LOST = "3", "4", "9", "15"

STUBS = {"libnvidia-ml.so.1": "nvml_stub.c", "libcuda.so.1": "cuda_stub.c"}
SOURCES = Path(__file__).parents[1] / "telemetry"

FakeGpus = Callable[..., None]


@pytest.fixture(scope="session")
def gpu_libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the libraries."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make NVIDIA's libraries with")
    folder = tmp_path_factory.mktemp("nvidia")
    for library, source in STUBS.items():
        files = [str(folder / library), str(SOURCES / source)]
        subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", *files], check=True)
    return folder


@pytest.fixture
def fake_gpus(gpu_libraries: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
    """The GPUs appear to processes that are started afterwards. A call chooses the mode of the libraries by
    their variables (see the C files). No earlier test has met a library that hangs.
    """

    def choose(**variables: str) -> None:
        for name in [name for name in os.environ if name.startswith("STUB_")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(gpu_libraries))
    monkeypatch.setattr(NvmlReader, "unanswered", None)
    choose()
    return choose


@pytest.fixture
def nvml_processes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the processes for NVML that this process starts."""
    started: list[int] = []

    class Recorded(nvml._Process):
        def __init__(self) -> None:
            super().__init__()
            started.append(self._child.pid)

    monkeypatch.setattr(nvml, "_Process", Recorded)
    return started

"""The NVML reader through the real pynvml, over a library with two GPUs that the test compiles from C."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

A, B = "GPU-aaaa1111-0000-0000-0000-000000000000", "GPU-bbbb2222-0000-0000-0000-000000000000"
NOT_SUPPORTED, DRIVER_NOT_LOADED, GPU_IS_LOST = "3", "9", "15"

LOOK = """
import dataclasses, json, os
from harness.telemetry.nvml import NvmlReader
reader = NvmlReader()
print(json.dumps({
    "reason": reader.reason,
    "gpus": [dataclasses.asdict(gpu) for gpu in reader.gpus()],
    "readings": {uuid: dataclasses.asdict(reader.read(uuid)) for uuid in UUIDS},
}))
"""

SAMPLE = """
import dataclasses, json, os
from harness.telemetry.process_sampler import ProcessSampler
from harness.telemetry.nvml import NvmlReader
sampler = ProcessSampler(nvml=NvmlReader(), gpus=UUIDS)
os.environ["STUB_PID"] = str(os.getpid())
sampler.start(os.getpid())
print(json.dumps({"sample": dataclasses.asdict(sampler.stop()[0]), "reason": sampler.nvml_reason}))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make the NVML library with")
    target = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("nvml_stub.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", target, source], check=True)
    return target.parent


def run(program: str, library: Path, *, uuids: tuple[str, ...] = (A, B), **environ: str) -> Any:
    clean = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", program.replace("UUIDS", repr(uuids))],
        env={**clean, "LD_LIBRARY_PATH": str(library), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_gpus_and_their_values(library: Path) -> None:
    seen = run(LOOK, library)
    assert seen["reason"] is None
    assert seen["gpus"] == [
        {"uuid": A, "name": "Stub A", "memory_bytes": 24 << 30, "driver": "595.12"},
        {"uuid": B, "name": "Stub B", "memory_bytes": 24 << 30, "driver": "595.12"},
    ]
    assert seen["readings"][A] == {
        "memory_used_bytes": 3 << 30,
        "utilisation": 0.4,
        "process_bytes": {"4242": 1 << 20},  # the process of unknown size is left out
        "temperature_c": 60,
        "sm_clock_mhz": 1980,
        "throttling": [],
        "reasons": {},
    }
    assert seen["readings"][B]["throttling"] == ["power cap", "hardware thermal"]


def test_a_uuid_means_the_same_gpu_whatever_cuda_may_see(library: Path) -> None:
    seen = run(LOOK, library, CUDA_VISIBLE_DEVICES="1")
    assert [gpu["uuid"] for gpu in seen["gpus"]] == [A, B]
    assert seen["readings"][B]["memory_used_bytes"] == 5 << 30


def test_a_reading_that_is_not_supported_is_none_with_the_reason(library: Path) -> None:
    reading = run(LOOK, library, STUB_FAIL="utilisation", STUB_CODE=NOT_SUPPORTED)["readings"][A]
    assert reading["utilisation"] is None
    assert reading["reasons"] == {"utilisation": "NVML: Not Supported"}
    assert reading["memory_used_bytes"] == 3 << 30


def test_every_reading_can_fail_alone(library: Path) -> None:
    names = "memory utilisation processes temperature clock throttling"
    reading = run(LOOK, library, STUB_FAIL=names, STUB_CODE=GPU_IS_LOST)["readings"][A]
    reasons = reading.pop("reasons")
    assert set(reading.values()) == {None}
    assert set(reasons) == set(reading)


@pytest.mark.parametrize("call", ["init", "count"])
def test_no_driver_is_a_reason_not_an_error(library: Path, call: str) -> None:
    seen = run(LOOK, library, STUB_FAIL=call, STUB_CODE=DRIVER_NOT_LOADED)
    assert seen["reason"] == "NVML: Driver Not Loaded"
    assert seen["gpus"] == []
    assert seen["readings"][A]["memory_used_bytes"] is None
    assert set(seen["readings"][A]["reasons"].values()) == {"NVML: Driver Not Loaded"}


def test_a_lost_gpu_does_not_hide_the_other(library: Path) -> None:
    seen = run(LOOK, library, STUB_FAIL="uuid:0", STUB_CODE=GPU_IS_LOST)
    assert [gpu["uuid"] for gpu in seen["gpus"]] == [B]
    assert seen["readings"][A]["reasons"]["utilisation"] == f"NVML knows no GPU {A}"


def test_no_library_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")  # stands before any real one
    seen = run(LOOK, tmp_path)
    assert seen["reason"] == "NVML: NVML Shared Library Not Found"
    assert seen["readings"][A]["utilisation"] is None


def test_a_sampler_reads_the_gpus_of_its_process(library: Path) -> None:
    one = run(SAMPLE, library, uuids=(B,), CUDA_VISIBLE_DEVICES="1")
    assert one["reason"] is None
    assert one["sample"]["gpu_memory_bytes"] == 5 << 30
    assert one["sample"]["gpu_utilisation"] == 0.9
    assert one["sample"]["gpu_process_bytes"] == 2 << 20
    both = run(SAMPLE, library)["sample"]
    assert both["gpu_memory_bytes"] == 8 << 30
    assert both["gpu_utilisation"] == pytest.approx(0.65)
    assert (both["gpu_temperature_c"], both["gpu_sm_clock_mhz"]) == (81, 1410)
    assert both["gpu_throttling"] == ["hardware thermal", "power cap"]


def test_a_sampler_gives_no_part_for_the_whole(library: Path) -> None:
    seen = run(SAMPLE, library, STUB_FAIL="utilisation:1", STUB_CODE=NOT_SUPPORTED)
    assert seen["sample"]["gpu_utilisation"] is None
    assert seen["sample"]["gpu_memory_bytes"] == 8 << 30
    assert seen["reason"] == "utilisation: NVML: Not Supported"

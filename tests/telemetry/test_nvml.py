"""The NVML reader through the real pynvml, over a library with two GPUs that the test compiles from C."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.telemetry import nvml
from harness.telemetry.nvml import READINGS, GpuReading, NvmlReader, library_exists
from tests.support.fake_gpus import (
    DRIVER_NOT_LOADED,
    GPU_IS_LOST,
    INSTANCES,
    NO_PERMISSION,
    NOT_SUPPORTED,
    A,
    B,
    FakeGpus,
)

CALLS = "memory utilisation compute graphics power energy temperature clock memory-clock throttling"


@pytest.fixture
def reader(fake_gpus: FakeGpus) -> Iterator[NvmlReader]:
    with NvmlReader() as reader:
        yield reader


def child(reader: NvmlReader) -> psutil.Process:
    assert reader._process is not None
    return psutil.Process(reader._process._child.pid)


def no_start(*_: Any, **__: Any) -> None:
    raise AssertionError("a process was started")


def test_gpus_and_their_values(reader: NvmlReader) -> None:
    gpus = reader.gpus()
    assert reader.reason is None
    assert [dataclasses.asdict(gpu) for gpu in gpus] == [
        {"uuid": A, "name": "Stub A", "memory_bytes": 24 << 30, "driver": "595.12"},
        {"uuid": B, "name": "Stub B", "memory_bytes": 24 << 30, "driver": "595.12"},
    ]
    assert reader.read(A) == GpuReading(
        memory_used_bytes=3 << 30,
        memory_api="v2",
        utilisation=0.4,
        compute_processes={4242: 1 << 20, 1: None},
        graphics_processes={},
        power_w=300.0,
        energy_j=7025.0,
        temperature_c=60,
        sm_clock_mhz=1980,
        memory_clock_mhz=2619,
        throttling=(),
    )
    assert reader.read(B).throttling == ("power cap", "hardware thermal")
    assert reader.read(B).power_w == 250.5


def test_a_uuid_means_the_same_gpu_whatever_cuda_may_see(
    reader: NvmlReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu.uuid for gpu in reader.gpus()] == [A, B]
    assert reader.read(B).memory_used_bytes == 5 << 30


def test_cuda_says_its_own_order(reader: NvmlReader, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reader.cuda_order() == ((B, A), None)
    for visible, order in {"1,7,0": (A,), "7": ()}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with NvmlReader() as other:
            assert other.cuda_order() == (order, None)


def test_cuda_that_fails_is_a_reason(fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpus(STUB_CUDA="999")
    with NvmlReader() as reader:
        assert reader.cuda_order() == ((), "CUDA: cuInit failed with error 999")
        assert reader.read(A).memory_used_bytes == 3 << 30
    fake_gpus(STUB_CUDA="hang")
    with NvmlReader() as reader:
        assert reader.gpus()
        monkeypatch.setattr(nvml, "INIT_LIMIT_S", 0.2)
        assert reader.cuda_order() == ((), "CUDA did not answer within 0.2 s")


def test_a_reading_that_is_not_supported_is_none_with_the_reason(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_FAIL="utilisation:0", STUB_CODE=NOT_SUPPORTED)
    with NvmlReader() as reader:
        reading = reader.read(A)
        assert reading.utilisation is None
        assert reading.reasons == {"utilisation": "NVML: Not Supported"}
        assert reading.memory_used_bytes == 3 << 30
        assert reader.read(B).utilisation == 0.9


def test_every_reading_can_fail_alone(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_FAIL=CALLS, STUB_CODE=GPU_IS_LOST)
    with NvmlReader() as reader:
        reading = reader.read(A)
    assert set(reading.reasons) == set(READINGS)
    assert reading == GpuReading(reasons=reading.reasons)


@pytest.mark.parametrize("call", ["init", "count"])
def test_no_driver_is_a_reason_not_an_error(fake_gpus: FakeGpus, call: str) -> None:
    fake_gpus(STUB_FAIL=call, STUB_CODE=DRIVER_NOT_LOADED)
    with NvmlReader() as reader:
        assert reader.gpus() == ()
        assert reader.reason == "NVML: Driver Not Loaded"
        assert reader.read(A) == GpuReading(reasons=dict.fromkeys(READINGS, "NVML: Driver Not Loaded"))
        assert reader._process is None


def test_a_lost_gpu_does_not_hide_the_other(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_FAIL="uuid:0", STUB_CODE=GPU_IS_LOST)
    with NvmlReader() as reader:
        assert [gpu.uuid for gpu in reader.gpus()] == [B]
        assert reader.read(A).reasons["utilisation"] == f"NVML knows no GPU {A}"
    fake_gpus(STUB_FAIL="handle", STUB_CODE=GPU_IS_LOST)
    with NvmlReader() as reader:
        assert reader.gpus() == ()
        assert reader.reason == "NVML shows 2 GPUs and can use none"


@pytest.mark.parametrize(("newest", "used"), [("2", 3 << 30), ("1", (3 << 30) + (1 << 29))])
def test_the_version_of_the_call_for_the_memory(fake_gpus: FakeGpus, newest: str, used: int) -> None:
    """Version 1 counts what the driver reserves."""
    fake_gpus(STUB_MEMORY=newest)
    with NvmlReader() as reader:
        reading = reader.read(A)
        assert reader.gpus()[0].memory_bytes == 24 << 30
    assert (reading.memory_api, reading.memory_used_bytes) == (f"v{newest}", used)


def test_a_memory_that_is_not_available_is_none(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_MEMORY="none")
    with NvmlReader() as reader:
        assert reader.gpus()[0].memory_bytes is None
        reading = reader.read(A)
    assert (reading.memory_used_bytes, reading.memory_api) == (None, None)
    assert reading.reasons == {"memory_used_bytes": "NVML: the memory is not available"}


@pytest.mark.parametrize("newest", ["3", "2"])
def test_every_structure_of_the_list_of_processes(fake_gpus: FakeGpus, newest: str) -> None:
    fake_gpus(STUB_PROCESSES=newest)
    with NvmlReader() as reader:
        reading = reader.read(A)
    assert reading.compute_processes == {4242: 1 << 20, 1: None}
    assert reading.graphics_processes == {}


def test_the_first_structure_of_the_list_is_not_misread(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_PROCESSES="1")
    with NvmlReader() as reader:
        reading = reader.read(A)
    assert (reading.compute_processes, reading.graphics_processes) == (None, None)
    why = "NVML: this driver has no list of processes of version 2 or 3"
    assert reading.reasons == {"compute_processes": why, "graphics_processes": why}


def test_instances_stand_for_a_gpu_in_mig_mode(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_MIG="2")
    with NvmlReader() as reader:
        assert [(gpu.uuid, gpu.memory_bytes) for gpu in reader.gpus()] == [
            (INSTANCES[0], 3 << 30),
            (INSTANCES[1], 6 << 30),
            (B, 24 << 30),
        ]
        reading = reader.read(INSTANCES[0])
        assert reader.read(A).memory_used_bytes is None
    assert (reading.memory_used_bytes, reading.compute_processes) == (1 << 30, {4242: 1 << 20, 1: None})
    unknown = ("utilisation", "power_w", "energy_j")
    assert reading.reasons == dict.fromkeys(unknown, "NVML: Not Supported")
    assert (reading.temperature_c, reading.sm_clock_mhz, reading.throttling) == (60, 1980, ())


def test_the_memory_of_an_instance_may_need_a_permission(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_MIG="1", STUB_FAIL="memory:2", STUB_CODE=NO_PERMISSION)
    with NvmlReader() as reader:
        reading = reader.read(INSTANCES[0])
    assert reading.memory_used_bytes is None
    assert reading.reasons["memory_used_bytes"] == "NVML: Insufficient Permissions"


@pytest.mark.parametrize("call", ["init", "load"])
def test_an_init_that_hangs_is_given_up_once(
    fake_gpus: FakeGpus, nvml_processes: list[int], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    fake_gpus(STUB_HANG=call)
    monkeypatch.setattr(nvml, "INIT_LIMIT_S", 0.5)
    with NvmlReader() as reader, NvmlReader() as other:
        assert reader.gpus() == ()
        assert reader.reason == "NVML did not answer within 0.5 s"
        assert set(reader.read(A).reasons.values()) == {"NVML did not answer within 0.5 s"}
        assert other.gpus() == ()
        assert other.reason == "NVML did not answer within 0.5 s"
    assert [psutil.pid_exists(pid) for pid in nvml_processes] == [False]


def test_a_query_that_hangs_is_given_up_once(
    fake_gpus: FakeGpus, nvml_processes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpus(STUB_HANG="power:1")
    with NvmlReader() as reader:
        assert reader.read(A).power_w == 300.0
        monkeypatch.setattr(nvml, "QUERY_LIMIT_S", 0.2)
        reading = reader.read(B)
        assert reading == GpuReading(reasons=dict.fromkeys(READINGS, "NVML did not answer within 0.2 s"))
        assert reader.read(A).reasons == reading.reasons
        assert reader.gpus() == ()
    assert [psutil.pid_exists(pid) for pid in nvml_processes] == [False]


def test_a_crash_of_nvml_is_a_reason(reader: NvmlReader) -> None:
    reader.gpus()
    assert reader._process is not None
    process = reader._process._child
    process.send_signal(signal.SIGSEGV)
    process.wait()
    why = "the process that reads NVML has ended (SIGSEGV)"
    assert reader.read(A) == GpuReading(reasons=dict.fromkeys(READINGS, why))


def test_nobody_waits_for_a_process_that_hangs_in_the_kernel(
    reader: NvmlReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a process stays after SIGKILL."""
    reader.gpus()
    assert reader._process is not None
    waited: list[float] = []

    def wait(timeout: float) -> int:
        waited.append(timeout)
        raise subprocess.TimeoutExpired("nvml", timeout)

    monkeypatch.setattr(reader._process._child, "wait", wait)
    assert reader._end() == "it hangs in the kernel"
    assert sum(waited) <= 1.0
    monkeypatch.undo()


def test_another_package_of_the_same_name_is_a_reason(
    fake_gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pynvml.py").write_text("class NVMLError(Exception): pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with NvmlReader() as reader:
        assert reader.gpus() == ()
        assert str(reader.reason).startswith("the installed package pynvml is not the one of nvidia-ml-py: ")


def test_after_the_end_nothing_is_read(reader: NvmlReader) -> None:
    reader.gpus()
    process = child(reader)
    reader.close()
    assert not psutil.pid_exists(process.pid)
    assert set(reader.read(A).reasons.values()) == {"the NVML reader was closed"}
    assert reader.gpus() == ()


def test_nothing_is_started_before_a_question(fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_start)
    with NvmlReader() as reader:
        assert reader.reason is None


def test_nothing_is_started_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_start)
    monkeypatch.setattr(nvml, "library_exists", lambda: False)
    with NvmlReader() as reader:
        assert reader.gpus() == ()
        assert reader.reason == "NVIDIA's library libnvidia-ml.so.1 is not on this machine"
        assert reader.cuda_order() == ((), reader.reason)


def test_a_file_that_is_no_library_is_a_reason(
    fake_gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")  # stands before any real one
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with NvmlReader() as reader:
        assert reader.gpus() == ()
        assert reader.reason == "NVML: NVML Shared Library Not Found"


def test_where_the_library_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "nowhere"
    cache = tmp_path / "ld.so.cache"
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    assert not library_exists((), nowhere)
    cache.write_bytes(b"glibc-ld.so.cache1.1\0libc.so.6\0libnvidia-ml.so.1\0")
    assert library_exists((), cache)
    (tmp_path / "libnvidia-ml.so.1").touch()
    assert library_exists((str(tmp_path),), nowhere)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{nowhere}:{tmp_path}")
    assert library_exists((), nowhere)


def test_the_process_holds_no_file_and_hears_no_terminal(reader: NvmlReader, tmp_path: Path) -> None:
    """Else a lock would outlast the driver, and Ctrl-C would end the readings before the driver."""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.fcntl(lock, fcntl.F_SETFD, 0)  # a child inherits it
        reader.gpus()
        process = child(reader)
        held = {str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
    assert not [name for name in held if name != os.devnull and not name.startswith("pipe:")]
    assert os.getsid(process.pid) != os.getsid(0)

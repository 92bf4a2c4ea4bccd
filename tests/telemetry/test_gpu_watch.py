"""The fields of a sample that are about GPUs: over one GPU, over several, and what is unknown about them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.telemetry import gpu_watch
from harness.telemetry.gpu_watch import GpuWatch, namespace_pids, sees_all_processes
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.process_sampler import ProcessSampler, TelemetrySample
from tests.support.fake_gpus import (
    INSTANCES,
    NO_PERMISSION,
    NOT_SUPPORTED,
    A,
    B,
    FakeGpus,
)

ME = os.getpid()


@pytest.fixture(autouse=True)
def outside_of_any_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_watch, "sees_all_processes", lambda: True)


@pytest.fixture
def reader(fake_gpus: FakeGpus) -> Iterator[NvmlReader]:
    fake_gpus(STUB_PID=str(ME))
    with NvmlReader() as reader:
        yield reader


def in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_watch, "sees_all_processes", lambda: False)


def test_one_gpu(reader: NvmlReader) -> None:
    watch = GpuWatch(reader, [B])
    assert watch.look([ME]) == {
        "gpu_memory_bytes": 5 << 30,
        "gpu_utilisation": 0.9,
        "gpu_process_bytes": 2 << 20,
        "gpu_other_processes": 1,
        "gpu_power_w": 250.5,
        "gpu_energy_j": 0.0,
        "gpu_temperature_c": 81,
        "gpu_sm_clock_mhz": 1410,
        "gpu_memory_clock_mhz": 1593,
        "gpu_throttling": ("hardware thermal", "power cap"),
        "source": "psutil+nvml(memory v2)",
    }
    assert watch.look([ME])["gpu_energy_j"] == 25.0
    assert watch.reason is None


def test_two_gpus(reader: NvmlReader) -> None:
    watch = GpuWatch(reader, [A, B])
    watch.look([ME])
    look = watch.look([ME])
    assert look["gpu_memory_bytes"] == 8 << 30
    assert look["gpu_utilisation"] == pytest.approx(0.65)
    assert look["gpu_process_bytes"] == 3 << 20
    assert look["gpu_other_processes"] == 1  # the same process on both
    assert look["gpu_power_w"] == 550.5
    assert look["gpu_energy_j"] == 50.0
    assert (look["gpu_temperature_c"], look["gpu_sm_clock_mhz"], look["gpu_memory_clock_mhz"]) == (
        81,
        1410,
        1593,
    )


def test_a_value_of_one_gpu_is_not_that_of_both(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_FAIL="utilisation:1 energy:1", STUB_CODE=NOT_SUPPORTED)
    with NvmlReader() as reader:
        watch = GpuWatch(reader, [A, B])
        look = watch.look([ME])
    assert (look["gpu_utilisation"], look["gpu_energy_j"]) == (None, None)
    assert look["gpu_memory_bytes"] == 8 << 30
    assert look["source"] == "psutil+nvml(memory v2)"
    assert "utilisation: NVML: Not Supported" in str(watch.reason)


def test_the_source_says_which_memory_was_read(fake_gpus: FakeGpus) -> None:
    for modes, source in (
        ({"STUB_MEMORY": "1"}, "psutil+nvml(memory v1)"),
        ({"STUB_MEMORY": "none"}, "psutil+nvml"),
        ({"STUB_FAIL": "init", "STUB_CODE": NO_PERMISSION}, "psutil"),
    ):
        fake_gpus(**modes)
        with NvmlReader() as reader:
            assert GpuWatch(reader, [A]).look([ME])["source"] == source


def test_a_reset_of_the_energy_counter_leaves_the_energy_unknown(fake_gpus: FakeGpus) -> None:
    """Neither a negative energy, nor that after the reset, which lacks what came before it."""
    fake_gpus(STUB_RESET="3")
    with NvmlReader() as reader:
        watch = GpuWatch(reader, [A])
        energies = [watch.look([ME])["gpu_energy_j"] for _ in range(5)]
        assert energies == [0.0, 25.0, None, None, None]
        assert f"energy_j: the energy counter of {A} went backwards, so it was reset" in str(watch.reason)


def test_no_counter_of_energy(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_FAIL="energy", STUB_CODE=NOT_SUPPORTED)
    with NvmlReader() as reader:
        look = GpuWatch(reader, [A]).look([ME])
    assert (look["gpu_energy_j"], look["gpu_power_w"]) == (None, 300.0)


def test_an_instance_of_a_gpu(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_MIG="2")
    with NvmlReader() as reader:
        watch = GpuWatch(reader, [INSTANCES[1]])
        look = watch.look([ME])
    assert look["gpu_memory_bytes"] == 1 << 30
    assert (look["gpu_utilisation"], look["gpu_power_w"], look["gpu_energy_j"]) == (None, None, None)
    assert look["gpu_sm_clock_mhz"] == 1980
    assert "utilisation: NVML: Not Supported" in str(watch.reason)


def test_a_process_that_has_not_used_the_gpu_yet_has_no_memory_there(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_PID="999999")
    with NvmlReader() as reader:
        look = GpuWatch(reader, [A]).look([ME])
    assert (look["gpu_process_bytes"], look["gpu_other_processes"]) == (0, 2)


def test_processes_that_draw_are_others_too(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_PID=str(ME), STUB_DRAWING="77")
    with NvmlReader() as reader:
        assert GpuWatch(reader, [A]).look([ME])["gpu_other_processes"] == 2
    fake_gpus(STUB_PID=str(ME), STUB_DRAWING=str(ME))
    with NvmlReader() as reader:
        look = GpuWatch(reader, [A]).look([ME])
    assert (look["gpu_other_processes"], look["gpu_process_bytes"]) == (1, 1 << 20)


def test_half_a_list_of_processes_counts_nobody(fake_gpus: FakeGpus) -> None:
    fake_gpus(STUB_PID=str(ME), STUB_FAIL="graphics", STUB_CODE=NOT_SUPPORTED)
    with NvmlReader() as reader:
        look = GpuWatch(reader, [A]).look([ME])
    assert (look["gpu_other_processes"], look["gpu_process_bytes"]) == (None, 1 << 20)
    fake_gpus(STUB_PID=str(ME), STUB_FAIL="compute", STUB_CODE=NOT_SUPPORTED)
    with NvmlReader() as reader:
        look = GpuWatch(reader, [A]).look([ME])
    assert (look["gpu_other_processes"], look["gpu_process_bytes"]) == (None, None)


def test_a_process_whose_memory_is_unknown(reader: NvmlReader) -> None:
    """Process 1 of the library has a size that is not available."""
    watch = GpuWatch(reader, [A])
    assert watch.look([ME, 1])["gpu_process_bytes"] is None
    assert watch.reason == "process_bytes: NVML does not know the memory of the process"


def test_ids_of_another_namespace_are_not_taken_for_others(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container, NVML may show the ids of the host, where the watched process has another id."""
    in_a_container(monkeypatch)
    fake_gpus(STUB_PID="3999999")
    with NvmlReader() as reader:
        watch = GpuWatch(reader, [A])
        look = watch.look([ME])
        assert (look["gpu_process_bytes"], look["gpu_other_processes"]) == (None, None)
        why = "in this container, NVML hides processes or has other ids for them"
        assert watch.reason == f"processes: {why}"
        monkeypatch.setattr(gpu_watch, "namespace_pids", lambda pid: frozenset({pid, 3999999}))
        watch = GpuWatch(reader, [A])
        look = watch.look([ME])
    assert (look["gpu_process_bytes"], look["gpu_other_processes"]) == (1 << 20, 1)
    assert watch.reason is None


def test_a_container_that_shows_only_its_processes_shows_no_absence_of_others(
    fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_container(monkeypatch)
    fake_gpus(STUB_PID=str(ME))
    with NvmlReader() as reader:
        watch = GpuWatch(reader, [A])
        look = watch.look([ME, 1])
    assert look["gpu_other_processes"] is None
    assert "other_processes: NVML may hide the processes of others in this container" in str(watch.reason)


def test_the_ids_of_a_process_in_the_namespaces_inside(tmp_path: Path) -> None:
    (tmp_path / "50").mkdir()
    (tmp_path / "50/status").write_text("Name:\tpython\nPid:\t50\nNSpid:\t50\t7\t1\nVmRSS:\t1 kB\n")
    assert namespace_pids(50, tmp_path) == {50, 7, 1}
    assert namespace_pids(51, tmp_path) == {51}
    assert ME in namespace_pids(ME)


def test_a_container_has_another_namespace(tmp_path: Path) -> None:
    assert not sees_all_processes(tmp_path)
    assert not sees_all_processes(tmp_path / "missing")
    assert sees_all_processes() is (Path("/proc/self/ns/pid").stat().st_ino == 4026531836)


def test_without_a_gpu_nothing_is_asked() -> None:
    def asked(*_: Any) -> None:
        raise AssertionError("NVML was asked")

    class Unused(NvmlReader):
        read = asked  # type: ignore[assignment]

    nothing, without = Unused(), GpuWatch(None, [A])
    nothing.reason = None
    assert (GpuWatch(nothing, []).look([ME]), GpuWatch(nothing, []).reason) == ({}, "the process has no GPU")
    assert (without.look([ME]), without.reason) == ({}, "NVML is not used")


def test_a_sampler_reads_the_gpus_of_its_process(reader: NvmlReader) -> None:
    sampler = ProcessSampler(nvml=reader, gpus=[B])
    for _ in range(2):  # the energy of a second process begins at 0 again
        sampler.start(ME)
        sample = sampler.stop()[0]
        assert isinstance(sample, TelemetrySample)
        assert (sample.gpu_memory_bytes, sample.gpu_process_bytes) == (5 << 30, 2 << 20)
        assert (sample.gpu_energy_j, sample.gpu_power_w) == (0.0, 250.5)
        assert sample.source.startswith("psutil+nvml(memory v2)")
        assert sampler.nvml_reason is None

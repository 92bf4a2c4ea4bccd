"""Telemetry of a real GPU beside what torch says about it: which GPU, its memory, its work and its energy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import psutil
import pytest
import torch

from harness.machine.visible_gpus import visible_gpus
from harness.telemetry.energy import BY_COUNTER, cpu_energy, gpu_energy
from harness.telemetry.gpu_watch import GpuWatch
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.process_sampler import ProcessSampler, TelemetrySample, _ProcessLook

BUSY_S = 6.0


@pytest.fixture(scope="module")
def reader() -> Iterator[NvmlReader]:
    with NvmlReader() as reader:
        yield reader


@pytest.fixture(scope="module")
def uuid(reader: NvmlReader) -> str:
    """The GPU that torch calls cuda:0, as NVML names it; in MIG mode, the instance."""
    code = str(torch.cuda.get_device_properties(0).uuid)
    [known] = [gpu.uuid for gpu in reader.gpus() if gpu.uuid.partition("-")[2] == code]
    return known


@pytest.fixture(scope="module")
def busy(reader: NvmlReader, uuid: str) -> list[TelemetrySample]:
    """The samples of this process while it multiplies matrices."""
    device = torch.device("cuda", 0)
    matrix = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    sampler = ProcessSampler(nvml=reader, gpus=[uuid])
    sampler.start(os.getpid())
    end = time.monotonic() + BUSY_S
    while time.monotonic() < end:
        for _ in range(20):
            torch.mm(matrix, matrix)
        torch.cuda.synchronize()
    return sampler.stop()


def test_the_gpus_that_cuda_shows_are_those_that_torch_uses(reader: NvmlReader, uuid: str) -> None:
    order, reason = reader.cuda_order()
    assert reason is None
    assert len(order) == torch.cuda.device_count()
    assert order[0] == uuid
    assert uuid in visible_gpus(reader.gpus())


def test_the_memory_that_torch_takes_is_seen(reader: NvmlReader, uuid: str, device: torch.device) -> None:
    watch = GpuWatch(reader, [uuid])
    torch.zeros(1, device=device)
    torch.cuda.empty_cache()
    before = watch.look([os.getpid()])
    held = torch.zeros(1 << 28, device=device)
    torch.cuda.synchronize()
    after = watch.look([os.getpid()])
    assert after["gpu_memory_bytes"] - before["gpu_memory_bytes"] == pytest.approx(held.nbytes, rel=0.1)
    if after["gpu_process_bytes"] is None:
        assert watch.reason  # a container may hide it
    else:
        assert after["gpu_process_bytes"] >= held.nbytes
    free, _ = torch.cuda.mem_get_info(device)
    [total] = [gpu.memory_bytes for gpu in reader.gpus() if gpu.uuid == uuid]
    assert total is not None
    assert after["gpu_memory_bytes"] <= total - free + (1 << 30)
    assert "nvml(memory v" in after["source"]


def test_every_reading_has_a_value_or_a_reason(reader: NvmlReader, uuid: str) -> None:
    reading = reader.read(uuid)
    for name, value in ((name, getattr(reading, name)) for name in type(reading).__slots__):
        if name not in ("memory_api", "reasons"):
            assert (value is None) == (name in reading.reasons), name


def test_a_busy_gpu_is_seen_to_be_busy(busy: list[TelemetrySample]) -> None:
    late = busy[len(busy) // 2 :]
    for sample in late:
        assert sample.gpu_utilisation is None or sample.gpu_utilisation > 0.5
        assert sample.gpu_sm_clock_mhz is None or sample.gpu_sm_clock_mhz > 300
        assert sample.gpu_temperature_c is None or 20 < sample.gpu_temperature_c < 110
    assert len(busy) > 0.8 * BUSY_S * 10


def test_the_counter_of_energy_agrees_with_the_power(busy: list[TelemetrySample]) -> None:
    first, last = busy[0].t_seconds, busy[-1].t_seconds
    counted = gpu_energy(busy, first, last)
    if counted.joules is None or counted.source != BY_COUNTER:
        pytest.skip(f"this GPU has no counter of energy: {counted.source}")
    power = [sample.gpu_power_w for sample in busy if sample.gpu_power_w is not None]
    if not power:
        pytest.skip("this GPU shows no power")
    mean = sum(power) / len(power)
    assert counted.joules == pytest.approx(mean * (last - first), rel=0.25)
    assert cpu_energy(busy, first, last, "unknown").source


def test_a_sample_takes_less_than_a_hundredth_of_a_core_at_ten_per_second(
    reader: NvmlReader, uuid: str
) -> None:
    look = _ProcessLook(os.getpid(), GpuWatch(reader, [uuid]))
    look.sample()
    assert reader._process is not None
    child, count = psutil.Process(reader._process._child.pid), 100
    before = time.thread_time() + sum(child.cpu_times()[:2])
    for _ in range(count):
        look.sample()
    seconds = (time.thread_time() + sum(child.cpu_times()[:2]) - before) / count
    assert seconds <= 0.001, f"{seconds * 1e3:.2f} ms of CPU time per sample"

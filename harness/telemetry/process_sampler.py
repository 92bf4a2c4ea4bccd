"""Samples of another process and its host, taken from outside at a fixed interval by a thread of the driver."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import psutil

from harness.telemetry.nvml import NvmlReader

Value = TypeVar("Value")

_SLOW_READINGS_S = 1.0  # looking for children walks all of /proc; the frequency asks every core


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySample:
    """One look at the process with its descendants, and at the host around it.

    `cpu_percent` is 100 for one busy core, over the time since the sample before (None in the first);
    `rss_bytes` is a sum, so pages that forked processes share count once for each; `load` is the 1-minute
    load of the host; swap counts bytes since the first sample; `cpu_mhz` is the mean over cores, read once a
    second. GPU memory is summed over the process's GPUs and utilisation (0 to 1) averaged;
    `gpu_process_bytes` is this process's share of the memory.
    """

    t_seconds: float
    rss_bytes: int
    cpu_percent: float | None
    threads: int
    load: float
    swap_in_bytes: int
    swap_out_bytes: int
    cpu_mhz: float | None
    gpu_memory_bytes: int | None
    gpu_utilisation: float | None
    gpu_process_bytes: int | None
    gpu_temperature_c: int | None
    gpu_sm_clock_mhz: int | None
    gpu_throttling: Sequence[str] | None


class ProcessSampler:
    """Watch one process at a time: `start(pid)`, then `stop()` for what was seen, in order.

    The first sample is taken before `start` returns, so that even a process of a few milliseconds has one.
    Sampling ends by itself when the process has gone, is a zombie, or its pid belongs to another. `gpus` are
    the UUIDs of the process's GPUs; without them, or without NVML, the GPU readings are None and
    `nvml_reason` says why.
    """

    def __init__(
        self, *, interval_s: float = 0.1, nvml: NvmlReader | None = None, gpus: Sequence[str] = ()
    ) -> None:
        if not interval_s > 0:
            raise ValueError(f"the sampling interval must be positive, not {interval_s}")
        self._interval_s = interval_s
        self._gpus = _GpuWatch(nvml, gpus)
        self._samples: list[TelemetrySample] = []
        self._ask_to_stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def nvml_reason(self) -> str | None:
        """Why GPU readings are None; None where there were no gaps."""
        return self._gpus.reason

    def start(self, pid: int) -> None:
        """Begin watching. A process that has gone already leaves no samples, and is no error."""
        if self._thread is not None:
            raise RuntimeError("the sampler is watching a process already: stop it first")
        self._samples = []
        self._ask_to_stop.clear()
        try:
            look = _ProcessLook(pid, self._gpus)
            self._samples.append(look.sample())
        except psutil.NoSuchProcess:
            return
        self._thread = threading.Thread(
            target=self._watch, args=(look,), name=f"telemetry-{pid}", daemon=True
        )
        self._thread.start()

    def stop(self) -> list[TelemetrySample]:
        """End watching and return the samples; a second call returns the same."""
        if self._thread is not None:
            self._ask_to_stop.set()
            self._thread.join()
            self._thread = None
        return list(self._samples)

    def _watch(self, look: _ProcessLook) -> None:
        due = time.monotonic() + self._interval_s
        while not self._ask_to_stop.wait(max(0.0, due - time.monotonic())):
            try:
                self._samples.append(look.sample())
            except psutil.NoSuchProcess:
                return
            due = max(due + self._interval_s, time.monotonic())  # a late sample is not followed by a burst


class _ProcessLook:
    """The process, its descendants, and what has to be remembered from one sample to the next."""

    def __init__(self, pid: int, gpus: _GpuWatch) -> None:
        self._process = psutil.Process(pid)  # remembers the time of birth, which tells a reused pid apart
        self._gpus = gpus
        self._children: list[psutil.Process] = []
        self._started = time.monotonic()
        self._swap_start = psutil.swap_memory()
        self._cpu_before: tuple[float, float] | None = None
        self._slow_due = self._started

    def sample(self) -> TelemetrySample:
        """Raises psutil.NoSuchProcess when the process is no longer there to be sampled."""
        if not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(self._process.pid)
        now = time.monotonic()
        mhz = None
        if now >= self._slow_due:
            self._slow_due = now + _SLOW_READINGS_S
            self._children = self._process.children(recursive=True)
            mhz = _cpu_mhz()
        rss, threads, cpu_seconds = _usage(self._process)
        for child in self._children:
            try:
                more = _usage(child)
            except psutil.Error:
                continue  # ended: its time is in its parent's once it is reaped
            rss, threads, cpu_seconds = rss + more[0], threads + more[1], cpu_seconds + more[2]
        swap = psutil.swap_memory()
        gpu = self._gpus.look([self._process.pid, *(child.pid for child in self._children)])
        return TelemetrySample(
            t_seconds=now - self._started,
            rss_bytes=rss,
            threads=threads,
            cpu_percent=self._cpu_percent(now, cpu_seconds),
            load=os.getloadavg()[0],
            swap_in_bytes=swap.sin - self._swap_start.sin,
            swap_out_bytes=swap.sout - self._swap_start.sout,
            cpu_mhz=mhz,
            gpu_memory_bytes=gpu.memory_bytes,
            gpu_utilisation=gpu.utilisation,
            gpu_process_bytes=gpu.process_bytes,
            gpu_temperature_c=gpu.temperature_c,
            gpu_sm_clock_mhz=gpu.sm_clock_mhz,
            gpu_throttling=gpu.throttling,
        )

    def _cpu_percent(self, now: float, cpu_seconds: float) -> float | None:
        before, self._cpu_before = self._cpu_before, (now, cpu_seconds)
        if before is None:
            return None
        # a child that has ended and is not reaped yet can take its time away for a moment
        return 100 * max(0.0, cpu_seconds - before[1]) / (now - before[0])


def _usage(process: psutil.Process) -> tuple[int, int, float]:
    """Resident bytes, threads, and CPU seconds with those of children that were waited for."""
    with process.oneshot():
        times = process.cpu_times()
        waited_for = getattr(times, "children_user", 0.0) + getattr(
            times, "children_system", 0.0
        )  # Linux has them
        return process.memory_info().rss, process.num_threads(), times.user + times.system + waited_for


def _cpu_mhz() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return frequency.current if frequency else None


class _GpuLook(NamedTuple):
    memory_bytes: int | None = None
    utilisation: float | None = None
    process_bytes: int | None = None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    throttling: tuple[str, ...] | None = None


class _GpuWatch:
    """The GPUs of one process, read as one: bytes summed, utilisation averaged, the hottest, the slowest."""

    def __init__(self, nvml: NvmlReader | None, uuids: Sequence[str]) -> None:
        self._nvml = nvml
        self._uuids = tuple(uuids)
        self._reasons: dict[str, str] = {}

    @property
    def reason(self) -> str | None:
        if self._nvml is None:
            return "NVML is not being read"
        if self._nvml.reason is not None:
            return self._nvml.reason
        if not self._uuids:
            return "the process was given no GPU"
        return "; ".join(f"{name}: {why}" for name, why in self._reasons.items()) or None

    def look(self, pids: Sequence[int]) -> _GpuLook:
        if self._nvml is None or not self._uuids:
            return _GpuLook()
        readings = [self._nvml.read(uuid) for uuid in self._uuids]
        for reading in readings:
            self._reasons.update(reading.reasons)
        memory = _known(reading.memory_used_bytes for reading in readings)
        utilisation = _known(reading.utilisation for reading in readings)
        by_pid = _known(reading.process_bytes for reading in readings)
        temperature = _known(reading.temperature_c for reading in readings)
        clock = _known(reading.sm_clock_mhz for reading in readings)
        throttling = _known(reading.throttling for reading in readings)
        return _GpuLook(
            memory_bytes=sum(memory) if memory else None,
            utilisation=sum(utilisation) / len(utilisation) if utilisation else None,
            process_bytes=sum(of.get(pid, 0) for of in by_pid for pid in pids) if by_pid else None,
            temperature_c=max(temperature) if temperature else None,
            sm_clock_mhz=min(clock) if clock else None,
            throttling=tuple(sorted({name for names in throttling for name in names}))
            if throttling
            else None,
        )


def _known(values: Iterable[Value | None]) -> list[Value]:
    """All of the values, or none of them where one is missing: a sum over some GPUs would pass for the sum
    over all.
    """
    everything = list(values)
    known = [value for value in everything if value is not None]
    return known if len(known) == len(everything) else []

"""Samples of another process and its host, taken at a fixed interval by a thread of the driver."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from harness.telemetry.cgroup import Cgroup
from harness.telemetry.descendants import descendants
from harness.telemetry.gpu_watch import GpuWatch
from harness.telemetry.host_clocks import ClockWatch
from harness.telemetry.memory import peak_rss_bytes
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.rapl import PackageEnergy

STOPPED_STATES = frozenset((psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP))
"""The states of a process that a signal or a debugger has stopped."""

_SLOW_READINGS_S = 1.0  # to find descendants reads a file per thread; the frequency reads every core


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySample:
    """One sample of a process with its descendants, and of its host.

    A field is None where it cannot be read.

    `cpu_percent` is 100 for one busy core, over the time since the previous sample (None in the first one).
    `cpu_seconds` is the CPU time since the process began, with that of its descendants.
    `rss_bytes` is a sum, so a page that several processes share counts several times. `load` is the 1-minute
    load of the host. Swap is in bytes since the first sample. `cpu_mhz` is the mean over the cores, read once
    per second. `other_cpu_percent` is the CPU time of the host without that of this process, its descendants
    and the sampling process. It includes the load of other containers, which no other reading shows.
    `cpu_energy_j` is the energy of the processor packages since the first sample, with all that runs there.

    `state` is psutil's word for the state of the process, for example "running", "sleeping", "disk-sleep"
    (it waits for a disk or for memory) or "stopped". It is "stopped" if one of the descendants is. The
    kernel took the core away from the main thread `involuntary_switches` times since the first sample.
    `peak_rss_bytes` is the largest peak of the resident set of the process that a sample saw, because a
    process may begin a new peak. A CPU quota stopped the groups of the process in `throttled_periods` and
    for `throttled_seconds` (summed over the cores), the machine was suspended for `suspended_seconds`, and
    somebody moved the wall clock by `clock_jump_seconds`, all since the first sample. `cgroup_peak_bytes`
    is the most memory that the control group ever used.

    The fields of the GPUs are about all GPUs of the process together. Memory, power and energy are sums,
    utilisation (0 to 1) is the mean, the temperature that of the hottest GPU, and the clocks those of the
    slowest. `gpu_energy_j` is the energy since the first sample, by the counters of the GPUs.
    `gpu_process_bytes` is the memory that this process uses, `gpu_other_processes` the number of other
    processes on the GPUs, and `gpu_throttling` why clocks are reduced. `source` names the interfaces that
    gave values, with the version of NVML's call for the memory: only in version 1 does the memory that is
    used include what the driver reserves.
    """

    source: str = "psutil"
    t_seconds: float
    rss_bytes: int
    cpu_percent: float | None
    threads: int
    load: float
    swap_in_bytes: int
    swap_out_bytes: int
    cpu_mhz: float | None
    gpu_memory_bytes: int | None = None
    gpu_utilisation: float | None = None
    gpu_process_bytes: int | None = None
    gpu_temperature_c: int | None = None
    gpu_sm_clock_mhz: int | None = None
    gpu_throttling: Sequence[str] | None = None
    other_cpu_percent: float | None = None
    state: str | None = None
    cpu_seconds: float | None = None
    involuntary_switches: int | None = None
    throttled_periods: int | None = None
    throttled_seconds: float | None = None
    suspended_seconds: float | None = None
    clock_jump_seconds: float | None = None
    peak_rss_bytes: int | None = None
    cgroup_peak_bytes: int | None = None
    cpu_energy_j: float | None = None
    gpu_power_w: float | None = None
    gpu_energy_j: float | None = None
    gpu_memory_clock_mhz: int | None = None
    gpu_other_processes: int | None = None


class ProcessSampler:
    """Samples one process at a time: `start(pid)` begins, and `stop()` returns the samples in order.

    The first sample is taken before `start` returns, so that even a process of a few milliseconds has one.
    Sampling ends by itself when the process has ended, is a zombie, or when another process has its id.
    `gpus` holds the UUIDs of the process's GPUs. Without them, or without NVML, the GPU readings are None,
    and `nvml_reason` says why. `cpu_energy_reason` says why the energy of the processor is None.
    """

    def __init__(
        self, *, interval_s: float = 0.1, nvml: NvmlReader | None = None, gpus: Sequence[str] = ()
    ) -> None:
        if not interval_s > 0:
            raise ValueError(f"the sampling interval must be positive (got {interval_s} s)")
        self._interval_s = interval_s
        self._nvml, self._uuids = nvml, tuple(gpus)
        self._gpus, self._energy = GpuWatch(nvml, self._uuids), PackageEnergy()
        self._samples: list[TelemetrySample] = []
        self._began = time.monotonic()
        self._ask_to_stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def began(self) -> float:
        """The time of the first second of the newest samples (`time.monotonic`)."""
        return self._began

    @property
    def nvml_reason(self) -> str | None:
        """Why GPU readings are None, or None if no reading is missing."""
        return self._gpus.reason

    @property
    def cpu_energy_reason(self) -> str | None:
        """Why the energy of the processor is None, or None if it is known."""
        return self._energy.reason

    @property
    def newest(self) -> TelemetrySample | None:
        """The newest sample, if there is one yet."""
        return self._samples[-1] if self._samples else None

    def start(self, pid: int) -> None:
        """Begin sampling. A process that has already ended has no samples; this is not an error."""
        if self._thread is not None:
            raise RuntimeError("the sampler is already running; call stop() first")
        self._samples = []
        self._ask_to_stop.clear()
        self._gpus, self._energy = GpuWatch(self._nvml, self._uuids), PackageEnergy()
        try:
            look = _ProcessLook(pid, self._gpus, self._energy)
            self._began = look.began
            self._samples.append(look.sample())
        except psutil.NoSuchProcess:
            return
        self._thread = threading.Thread(
            target=self._watch, args=(look,), name=f"telemetry-{pid}", daemon=True
        )
        self._thread.start()

    def stop(self) -> list[TelemetrySample]:
        """End sampling and return the samples. A second call returns the same samples."""
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
            except (psutil.Error, OSError, ValueError):
                pass  # this sample is missing, and the next one may come
            due = max(due + self._interval_s, time.monotonic())  # after a late sample, none is made up for


class _ProcessLook:
    """The process, its descendants, and the state that one sample passes to the next."""

    def __init__(self, pid: int, gpus: GpuWatch, energy: PackageEnergy | None = None) -> None:
        self._process = psutil.Process(pid)  # it records the start time, so it recognises a reused id
        self._gpus, self._energy = gpus, energy or PackageEnergy()
        self._children: list[psutil.Process] = []
        self.began = time.monotonic()
        self._swap_start = psutil.swap_memory()
        self._clocks = ClockWatch()
        self._cgroup = Cgroup(pid)
        self._throttled_start = self._cgroup.throttling()
        self._switches_start: int | None = None
        self._cpu_seconds = 0.0
        self._peak_rss: int | None = None
        self._cpu_before: tuple[float, float, float] | None = None
        self._slow_due = self.began

    def sample(self) -> TelemetrySample:
        """Take one sample. Raises psutil.NoSuchProcess if the process has ended."""
        if not self._process.is_running():
            raise psutil.NoSuchProcess(self._process.pid)
        now = time.monotonic()
        mhz = None
        if now >= self._slow_due:
            self._slow_due = now + _SLOW_READINGS_S
            self._children = descendants(self._process)
            mhz = _cpu_mhz()
        usage = _usage(self._process)
        if usage.state == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(self._process.pid)
        switches = usage.involuntary_switches
        if self._switches_start is None:
            self._switches_start = switches
        for child in self._children:
            with contextlib.suppress(psutil.Error):  # it has ended, and its time is added to its parent's
                usage = usage.with_child(_usage(child))
        swap = psutil.swap_memory()
        gpu = self._gpus.look([self._process.pid, *(child.pid for child in self._children)])
        source = gpu.pop("source", "psutil")
        joules = self._energy.joules()
        cpu_percent, other_cpu_percent = self._cpu_percent(now, usage.cpu_seconds)
        self._cpu_seconds = max(self._cpu_seconds, usage.cpu_seconds)
        throttled_periods, throttled_seconds = self._throttled()
        suspended_seconds, clock_jump_seconds = self._clocks.look()
        return TelemetrySample(
            t_seconds=now - self.began,
            rss_bytes=usage.rss_bytes,
            threads=usage.threads,
            cpu_percent=cpu_percent,
            other_cpu_percent=other_cpu_percent,
            load=os.getloadavg()[0],
            swap_in_bytes=swap.sin - self._swap_start.sin,
            swap_out_bytes=swap.sout - self._swap_start.sout,
            cpu_mhz=mhz,
            state=usage.state,
            cpu_seconds=self._cpu_seconds,
            involuntary_switches=None if switches is None else switches - (self._switches_start or 0),
            throttled_periods=throttled_periods,
            throttled_seconds=throttled_seconds,
            suspended_seconds=suspended_seconds,
            clock_jump_seconds=clock_jump_seconds,
            peak_rss_bytes=self._peak_rss_bytes(),
            cgroup_peak_bytes=self._cgroup.memory_peak_bytes(),
            cpu_energy_j=joules,
            source=source if joules is None else f"{source}+rapl",
            **gpu,
        )

    def _cpu_percent(self, now: float, cpu_seconds: float) -> tuple[float | None, float | None]:
        """Of the process, and of all others, since the previous sample."""
        others = host_cpu_seconds() - cpu_seconds - time.process_time()
        before, self._cpu_before = self._cpu_before, (now, cpu_seconds, others)
        if before is None:
            return None, None
        seconds = now - before[0]
        # the time of a child that has just ended is missing until its parent has waited for it
        mine, theirs = max(0.0, cpu_seconds - before[1]), max(0.0, others - before[2])
        return 100 * mine / seconds, 100 * theirs / seconds

    def _throttled(self) -> tuple[int | None, float | None]:
        """Periods and seconds since the first sample, in which a CPU quota stopped the groups."""
        now, start = self._cgroup.throttling(), self._throttled_start
        if now is None or start is None:
            return None, None
        return (
            now.throttled_periods - start.throttled_periods,
            now.throttled_seconds - start.throttled_seconds,
        )

    def _peak_rss_bytes(self) -> int | None:
        peak = peak_rss_bytes(self._process.pid)
        if peak is not None:
            self._peak_rss = max(peak, self._peak_rss or 0)
        return self._peak_rss


def host_cpu_seconds() -> float:
    """The time that all cores of the host were busy since it started, whoever used them."""
    times = psutil.cpu_times()
    idle = ("idle", "iowait", "guest", "guest_nice")  # guests are in `user` already
    return sum(times) - sum(getattr(times, field, 0.0) for field in idle)


class _Usage(NamedTuple):
    """What a process uses. The CPU seconds include those of its children that have ended."""

    rss_bytes: int
    threads: int
    cpu_seconds: float
    state: str
    involuntary_switches: int | None

    def with_child(self, child: _Usage) -> _Usage:
        return self._replace(
            rss_bytes=self.rss_bytes + child.rss_bytes,
            threads=self.threads + child.threads,
            cpu_seconds=self.cpu_seconds + child.cpu_seconds,
            state=child.state if child.state in STOPPED_STATES else self.state,
        )


def _usage(process: psutil.Process) -> _Usage:
    with process.oneshot():
        times = process.cpu_times()
        fields = ("user", "system", "children_user", "children_system")  # the last two exist on Linux
        return _Usage(
            rss_bytes=process.memory_info().rss,
            threads=process.num_threads(),
            cpu_seconds=sum(getattr(times, field, 0.0) for field in fields),
            state=str(process.status()),
            involuntary_switches=process.num_ctx_switches().involuntary,
        )


def _cpu_mhz() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return frequency.current if frequency else None

"""Readings of the GPUs from NVIDIA's management library, NVML.

The reader never raises an error: a value that cannot be read is None, and a reason says why. NVML numbers
all GPUs of the machine and ignores CUDA_VISIBLE_DEVICES, so GPUs are identified by UUIDs, not by numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

Value = TypeVar("Value")

_THROTTLING = {  # bits of nvmlClocksEventReasons for a reduced clock
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine."""

    uuid: str
    name: str | None
    memory_bytes: int | None
    driver: str | None


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One reading of a GPU. A value that cannot be read is None, and `reasons` says why under its name.

    `utilisation` is the share of the last sampling period (0.17 to 1 s) in which a kernel ran, from 0 to 1.
    `process_bytes` is by process id, as the GPU's driver numbers processes (not as a container does).
    """

    memory_used_bytes: int | None
    utilisation: float | None
    process_bytes: Mapping[int, int] | None
    temperature_c: int | None
    sm_clock_mhz: int | None
    throttling: tuple[str, ...] | None
    reasons: Mapping[str, str] = field(default_factory=dict)


class NvmlReader:
    """Opens NVML. If it cannot be opened, `reason` says why (no library, no driver, or NVML's error)."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._handles: dict[str, Any] = {}
        self._gpus: tuple[Gpu, ...] = ()
        try:
            import pynvml
        except ImportError as error:
            self.reason = f"nvidia-ml-py cannot be imported: {error}"
            return
        self._nvml = pynvml
        _, self.reason = self._ask(pynvml.nvmlInit)
        if self.reason is None:
            self._gpus = self._all_gpus()

    def close(self) -> None:
        """Release the library. Every later reading is None."""
        if self.reason is None:
            self.reason = "the NVML reader was closed"
            self._ask(self._nvml.nvmlShutdown)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs of the machine in NVML's order (by PCI bus), or an empty tuple if `reason` is set."""
        return self._gpus

    def read(self, uuid: str) -> GpuReading:
        """Read one GPU. Each value that cannot be read is None, with its reason."""
        handle, nvml = self._handles.get(uuid), getattr(self, "_nvml", None)
        if self.reason is not None or handle is None or nvml is None:
            why = self.reason or f"NVML knows no GPU {uuid}"
            return GpuReading(None, None, None, None, None, None, dict.fromkeys(_READINGS, why))
        reasons: dict[str, str] = {}

        def ask(name: str, question: Callable[[], Value]) -> Value | None:
            answer, why = self._ask(question)
            if why is not None:
                reasons[name] = why
            return answer

        return GpuReading(
            memory_used_bytes=ask(
                "memory_used_bytes", lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).used)
            ),
            utilisation=ask(
                "utilisation", lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
            ),
            process_bytes=ask(
                "process_bytes", lambda: _by_pid(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
            ),
            temperature_c=ask(
                "temperature_c", lambda: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
            ),
            sm_clock_mhz=ask(
                "sm_clock_mhz", lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
            ),
            throttling=ask(
                "throttling", lambda: _throttling(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
            ),
            reasons=reasons,
        )

    def _all_gpus(self) -> tuple[Gpu, ...]:
        nvml = self._nvml
        driver, _ = self._ask(nvml.nvmlSystemGetDriverVersion)
        count, self.reason = self._ask(nvml.nvmlDeviceGetCount)
        gpus = []
        for index in range(count or 0):
            handle, _ = self._ask(partial(nvml.nvmlDeviceGetHandleByIndex, index))
            uuid, _ = self._ask(partial(nvml.nvmlDeviceGetUUID, handle))
            if uuid is None:
                continue  # this GPU fell off the bus; the others still work
            name, _ = self._ask(partial(nvml.nvmlDeviceGetName, handle))
            memory, _ = self._ask(partial(nvml.nvmlDeviceGetMemoryInfo, handle))
            self._handles[uuid] = handle
            gpus.append(Gpu(uuid=uuid, name=name, memory_bytes=memory and int(memory.total), driver=driver))
        return tuple(gpus)

    def _ask(self, question: Callable[[], Value]) -> tuple[Value | None, str | None]:
        try:
            return question(), None
        except self._nvml.NVMLError as error:
            return None, f"NVML: {error}"


_READINGS = (
    "memory_used_bytes",
    "utilisation",
    "process_bytes",
    "temperature_c",
    "sm_clock_mhz",
    "throttling",
)


def _by_pid(processes: Iterable[Any]) -> dict[int, int]:
    return {int(p.pid): int(p.usedGpuMemory) for p in processes if p.usedGpuMemory is not None}


def _throttling(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in _THROTTLING.items() if bits & bit)

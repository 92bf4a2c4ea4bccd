"""What NVIDIA's management library says about the GPUs: a reader that answers None with a reason, and never
raises.

NVML numbers the GPUs of the machine and ignores CUDA_VISIBLE_DEVICES, so nothing here goes by number: a GPU
is its UUID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

Value = TypeVar("Value")

_THROTTLING = {  # bits of nvmlClocksEventReasons that say the clock was held down
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
    """One look at a GPU; what could not be read is None, and `reasons` says why, by the name of the field.

    `utilisation` is the share of the last sampling period (0.17 to 1 s) in which a kernel ran, from 0 to 1.
    `process_bytes` goes by pid, as the driver numbers processes (in a container: not as the container does).
    """

    memory_used_bytes: int | None
    utilisation: float | None
    process_bytes: Mapping[int, int] | None
    temperature_c: int | None
    sm_clock_mhz: int | None
    throttling: tuple[str, ...] | None
    reasons: Mapping[str, str] = field(default_factory=dict)


class NvmlReader:
    """Open NVML, or remember in `reason` why it cannot be: no library, no driver, or the error it gave."""

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
            self._gpus = self._find()

    def close(self) -> None:
        """Let go of the library; every reading from now on is None."""
        if self.reason is None:
            self.reason = "the NVML reader was closed"
            self._ask(self._nvml.nvmlShutdown)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs of the machine, in NVML's order (by PCI bus); none where `reason` says why."""
        return self._gpus

    def read(self, uuid: str) -> GpuReading:
        """Read one GPU, None by None with the reason where that is all there is."""
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

    def _find(self) -> tuple[Gpu, ...]:
        nvml = self._nvml
        driver, _ = self._ask(nvml.nvmlSystemGetDriverVersion)
        count, self.reason = self._ask(nvml.nvmlDeviceGetCount)
        found = []
        for index in range(count or 0):
            handle, _ = self._ask(partial(nvml.nvmlDeviceGetHandleByIndex, index))
            uuid, _ = self._ask(partial(nvml.nvmlDeviceGetUUID, handle))
            if uuid is None:
                continue  # a GPU that fell off the bus; the others are still there
            name, _ = self._ask(partial(nvml.nvmlDeviceGetName, handle))
            memory, _ = self._ask(partial(nvml.nvmlDeviceGetMemoryInfo, handle))
            self._handles[uuid] = handle
            found.append(Gpu(uuid=uuid, name=name, memory_bytes=memory and int(memory.total), driver=driver))
        return tuple(found)

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


def visible_gpus(reader: NvmlReader, environ: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The GPUs that CUDA would show a process with this environment, in the order in which it would number
    them.

    As in the CUDA programming guide (§ CUDA Environment Variables): UUIDs by any prefix that is unique,
    numbers in the order of the PCI bus, the first entry that fits nothing ends the list, a repeated one
    empties it. CUDA's own default order puts the fastest GPU first; where the GPUs differ, set
    CUDA_DEVICE_ORDER=PCI_BUS_ID or name UUIDs.
    """
    gpus = reader.gpus()
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return gpus
    visible: list[Gpu] = []
    for entry in (part.strip() for part in listed.split(",")):
        fits = [
            gpu
            for i, gpu in enumerate(gpus)
            if entry == str(i) or (entry.startswith("GPU-") and gpu.uuid.startswith(entry))
        ]
        if len(fits) != 1:
            break
        if fits[0] in visible:
            return ()
        visible.append(fits[0])
    return tuple(visible)


def _by_pid(processes: Iterable[Any]) -> dict[int, int]:
    return {int(p.pid): int(p.usedGpuMemory) for p in processes if p.usedGpuMemory is not None}


def _throttling(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in _THROTTLING.items() if bits & bit)

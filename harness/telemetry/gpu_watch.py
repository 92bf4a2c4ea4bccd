"""The GPUs of one process, read together: the fields of a telemetry sample that are about GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.telemetry.nvml import READINGS, GpuReading, NvmlReader

Value = TypeVar("Value")

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # the same number in every Linux kernel (PROC_PID_INIT_INO)

Processes = Mapping[int, int | None]
"""Bytes by process id, None where NVML does not know them."""


class GpuWatch:
    """The GPUs of one process, combined: sums of bytes, power and energy, mean utilisation, hottest GPU and
    slowest clocks. A value that one of the GPUs does not have is None.

    The energy counts from the first look. A counter that goes backwards was reset, and then the energy stays
    unknown.
    """

    def __init__(self, nvml: NvmlReader | None, uuids: Sequence[str]) -> None:
        self._nvml = nvml
        self._uuids = tuple(uuids)
        self._unreadable: str | None = None
        self._reasons: dict[str, str] = {}
        self._counters: dict[str, tuple[float, float]] = {}
        self._reset: set[str] = set()
        self._pids: dict[int, frozenset[int]] = {}
        self._sees_all = sees_all_processes()

    @property
    def reason(self) -> str | None:
        """Why values of a look, or all values, are None."""
        if self._nvml is None:
            return "NVML is not used"
        if not self._uuids:
            return self._nvml.reason or "the process has no GPU"
        if self._unreadable is not None:
            return self._unreadable
        return "; ".join(f"{name}: {why}" for name, why in self._reasons.items()) or None

    def look(self, pids: Sequence[int]) -> dict[str, Any]:
        """The fields of a sample, where `pids` are the watched process and its descendants."""
        if self._nvml is None or not self._uuids:
            return {}
        readings = [self._nvml.read(uuid) for uuid in self._uuids]
        self._unreadable = self._nvml.reason
        for reading in readings:
            self._reasons.update(reading.reasons)

        def all_of(name: str, combine: Callable[[list[Any]], Value]) -> Value | None:
            return _combined((getattr(reading, name) for reading in readings), combine)

        energies = (self._energy(*pair) for pair in zip(self._uuids, readings, strict=True))
        own_pids = self._known_as(pids)
        return {
            "gpu_memory_bytes": all_of("memory_used_bytes", sum),
            "gpu_utilisation": all_of("utilisation", lambda shares: sum(shares) / len(shares)),
            "gpu_process_bytes": self._process_bytes(own_pids, readings),
            "gpu_other_processes": self._others(own_pids, readings),
            "gpu_power_w": all_of("power_w", sum),
            "gpu_energy_j": _combined(energies, sum),
            "gpu_temperature_c": all_of("temperature_c", max),
            "gpu_sm_clock_mhz": all_of("sm_clock_mhz", min),
            "gpu_memory_clock_mhz": all_of("memory_clock_mhz", min),
            "gpu_throttling": all_of("throttling", _all_names),
            "source": "+".join(("psutil", *_sources(readings))),
        }

    def _energy(self, uuid: str, reading: GpuReading) -> float | None:
        """The energy of a GPU since the first look."""
        if reading.energy_j is None or uuid in self._reset:
            return None
        first, before = self._counters.get(uuid, (reading.energy_j, reading.energy_j))
        if reading.energy_j < before:
            self._reset.add(uuid)
            self._reasons["energy_j"] = f"the energy counter of {uuid} went backwards, so it was reset"
            return None
        self._counters[uuid] = first, reading.energy_j
        return reading.energy_j - first

    def _process_bytes(self, pids: frozenset[int], readings: Sequence[GpuReading]) -> int | None:
        """The memory of the watched processes. A process that has not used a GPU yet has none."""
        if any(reading.compute_processes is None for reading in readings):
            return None
        used = [_processes(reading) for reading in readings]
        if not self._recognises(pids, used):
            return None
        sizes = [size for processes in used for pid, size in processes.items() if pid in pids]
        if None in sizes:
            self._reasons["process_bytes"] = "NVML does not know the memory of the process"
        return _combined(sizes, sum, empty=0)

    def _others(self, pids: frozenset[int], readings: Sequence[GpuReading]) -> int | None:
        """How many other processes use the GPUs. In a container, the absence of others shows nothing."""
        if any(
            reading.compute_processes is None or reading.graphics_processes is None for reading in readings
        ):
            return None
        used = [_processes(reading) for reading in readings]
        others = {pid for processes in used for pid in processes} - pids
        if not self._recognises(pids, used):
            return None
        if not others and not self._sees_all:
            self._reasons["other_processes"] = "NVML may hide the processes of others in this container"
            return None
        return len(others)

    def _recognises(self, pids: frozenset[int], used: Iterable[Processes]) -> bool:
        """Whether NVML's ids are those of this namespace: always outside of a container, and inside if it
        lists one of the watched processes.
        """
        if self._sees_all or any(pids & processes.keys() for processes in used):
            self._reasons.pop("processes", None)
            return True
        self._reasons["processes"] = "in this container, NVML hides processes or has other ids for them"
        return False

    def _known_as(self, pids: Iterable[int]) -> frozenset[int]:
        """The ids of these processes in every namespace that this one can see."""
        for pid in pids:
            if pid not in self._pids:
                self._pids[pid] = namespace_pids(pid)
        return frozenset().union(*(self._pids[pid] for pid in pids))


def sees_all_processes(namespace: Path = Path("/proc/self/ns/pid")) -> bool:
    """Whether this process is in the first namespace of process ids, so not in a container. There it has the
    same ids as the driver of a GPU uses.
    """
    try:
        return namespace.stat().st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        return False


def namespace_pids(pid: int, proc: Path = Path("/proc")) -> frozenset[int]:
    """The id of a process, and its ids in the namespaces inside this one."""
    try:
        lines = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # it has ended
        return frozenset({pid})
    listed = (line.partition(":")[2].split() for line in lines if line.startswith("NSpid:"))
    return frozenset({pid, *(int(number) for numbers in listed for number in numbers)})


def _processes(reading: GpuReading) -> Processes:
    """All processes of a GPU. One that computes and draws has the bytes of its computing."""
    return {**(reading.graphics_processes or {}), **(reading.compute_processes or {})}


def _all_names(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for listed in names for name in listed}))


def _sources(readings: Sequence[GpuReading]) -> Iterator[str]:
    """NVML, if it gave a value, with the version of its call for the memory."""
    if all(len(reading.reasons) == len(READINGS) for reading in readings):
        return
    versions = sorted({reading.memory_api for reading in readings if reading.memory_api is not None})
    yield f"nvml(memory {'+'.join(versions)})" if versions else "nvml"


def _combined(
    values: Iterable[Value | None], combine: Callable[[list[Value]], Value], *, empty: Value | None = None
) -> Value | None:
    """All values together, or None if one is missing, because a sum over some GPUs would mislead."""
    readings = list(values)
    known = [value for value in readings if value is not None]
    if len(known) < len(readings):
        return None
    return combine(known) if known else empty

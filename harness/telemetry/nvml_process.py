"""The program that asks NVIDIA's management library, NVML, for `harness.telemetry.nvml.NvmlReader`.

A call of a driver can hang for ever. A thread that hangs in such a call cannot be ended, but a process can,
so NVML is only used here. Each line of JSON on the standard input is a question, which gets one line as its
answer. The program ends as soon as its input is closed, also while a call hangs, and so it ends with its
parent. A library that hangs before it lets other threads run is ended by an alarm. The program imports
nothing else of the harness, so that it starts fast.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import pynvml

Value = TypeVar("Value")

_GRACE_S = 1.0  # the parent gives up first, so that it can say why
_NO_CUDA_DEVICE = 100
_UNKNOWN_SIZE = 2**64 - 1
_THROTTLING = {  # bits of nvmlClocksEventReasons for a reduced clock
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
}


class _UnreadableError(Exception):
    """The value exists, but it cannot be used."""


@dataclass(frozen=True)
class _Device:
    """A GPU, or an instance of a GPU in MIG mode, whose `board` is the GPU. Otherwise they are the same."""

    handle: Any
    board: Any


@dataclass
class _Library:
    """NVML once it has been opened. `reason` says why it could not be, or why it shows no GPU."""

    reason: str | None = None
    devices: dict[str, _Device] = field(default_factory=dict)
    gpus: list[dict[str, Any]] = field(default_factory=list)

    def open(self) -> None:
        _, self.reason = _ask(lambda: pynvml.nvmlInit())
        if self.reason is not None:
            return
        count, self.reason = _ask(lambda: pynvml.nvmlDeviceGetCount())
        driver, _ = _ask(lambda: pynvml.nvmlSystemGetDriverVersion())
        for index in range(count or 0):
            board, _ = _ask(partial(pynvml.nvmlDeviceGetHandleByIndex, index))
            if board is None:
                continue  # this GPU fell off the bus; the others still work
            for device in _instances(board):
                self._add(device, _text(driver))
        if self.reason is None and not self.devices:
            self.reason = f"NVML shows {count or 'no'} GPUs and can use none"

    def _add(self, device: _Device, driver: str | None) -> None:
        identity, _ = _ask(lambda: pynvml.nvmlDeviceGetUUID(device.handle))
        if identity is None:
            return
        name, _ = _ask(lambda: pynvml.nvmlDeviceGetName(device.handle))
        memory, _ = _ask(lambda: _memory(device.handle))
        known = str(_text(identity))
        self.devices[known] = device
        total = memory["total"] if memory else None
        self.gpus.append({"uuid": known, "name": _text(name), "memory_bytes": total, "driver": driver})


def _instances(board: Any) -> list[_Device]:
    """The instances of a GPU in MIG mode, which programs use instead of the GPU; or the GPU itself."""
    modes, _ = _ask(lambda: pynvml.nvmlDeviceGetMigMode(board))
    if not modes or not modes[0]:
        return [_Device(board, board)]
    most, _ = _ask(lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(board))
    handles = [
        _ask(partial(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, board, index))[0]
        for index in range(most or 0)
    ]
    return [_Device(handle, board) for handle in handles if handle is not None]


def _read(device: _Device) -> dict[str, Any]:
    """One reading, with the fields of `harness.telemetry.nvml.GpuReading`.

    Clocks, their reasons and the temperature of an instance are those of its GPU. Its power and utilisation
    are not, because other instances have a part in them.
    """
    one, board = device.handle, device.board
    reasons: dict[str, str] = {}

    def ask(name: str, question: Callable[[], Value]) -> Value | None:
        answer, why = _ask(question)
        if why is not None:
            reasons[name] = why
        return answer

    memory = ask("memory_used_bytes", lambda: _memory(one)) or {}
    values = {
        "memory_used_bytes": memory.get("used"),
        "memory_api": memory.get("api"),
        "utilisation": ask("utilisation", lambda: pynvml.nvmlDeviceGetUtilizationRates(one).gpu / 100),
        "compute_processes": ask("compute_processes", lambda: _processes("Compute", one)),
        "graphics_processes": ask("graphics_processes", lambda: _processes("Graphics", one)),
        "power_w": ask("power_w", lambda: pynvml.nvmlDeviceGetPowerUsage(one) / 1000),
        "energy_j": ask("energy_j", lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(one) / 1000),
        "temperature_c": ask(
            "temperature_c", lambda: pynvml.nvmlDeviceGetTemperature(board, pynvml.NVML_TEMPERATURE_GPU)
        ),
        "sm_clock_mhz": ask(
            "sm_clock_mhz", lambda: pynvml.nvmlDeviceGetClockInfo(board, pynvml.NVML_CLOCK_SM)
        ),
        "memory_clock_mhz": ask(
            "memory_clock_mhz", lambda: pynvml.nvmlDeviceGetClockInfo(board, pynvml.NVML_CLOCK_MEM)
        ),
        "throttling": ask(
            "throttling", lambda: _throttling(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(board))
        ),
    }
    return {**values, "reasons": reasons}


def _memory(handle: Any) -> dict[str, Any]:
    """`used` of version 1 of the call includes what the driver reserves; that of version 2 does not."""
    try:
        memory, api = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2), "v2"
    except (
        pynvml.NVMLError_FunctionNotFound,
        pynvml.NVMLError_ArgumentVersionMismatch,
        pynvml.NVMLError_InvalidArgument,
    ):
        memory, api = pynvml.nvmlDeviceGetMemoryInfo(handle), "v1"
    if _UNKNOWN_SIZE in (memory.used, memory.total):
        raise _UnreadableError("NVML: the memory is not available")
    return {"used": int(memory.used), "total": int(memory.total), "api": api}


def _processes(kind: str, handle: Any) -> dict[int, int | None]:
    """The bytes of each process by its id, None where the size is not available.

    Version 3 and version 2 of the call have the same structure; no driver of today has only version 1.
    """
    for version in ("v3", "v2"):
        try:
            processes = getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_{version}")(handle)
        except pynvml.NVMLError_FunctionNotFound:
            continue
        return {int(process.pid): process.usedGpuMemory for process in processes}
    raise _UnreadableError("NVML: this driver has no list of processes of version 2 or 3")


def _throttling(bits: int) -> list[str]:
    return [name for bit, name in _THROTTLING.items() if bits & bit]


def _cuda_order() -> list[str]:
    """The UUIDs, without a prefix, of the devices that CUDA shows, in its order.

    CUDA reads CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER itself. No context is made, so no memory is taken.
    """
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name: str, *arguments: Any) -> int:
        code: int = getattr(cuda, name)(*arguments)
        if code not in (0, _NO_CUDA_DEVICE):
            raise _UnreadableError(f"CUDA: {name} failed with error {code}")
        return code

    count, device, identity = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(16)
    if call("cuInit", 0) == _NO_CUDA_DEVICE:
        return []
    call("cuDeviceGetCount", ctypes.byref(count))
    order = []
    for index in range(count.value):
        call("cuDeviceGet", ctypes.byref(device), index)
        call("cuDeviceGetUuid_v2", identity, device)  # of the instance in MIG mode, and not of its GPU
        order.append(str(uuid.UUID(bytes=identity.raw)))
    return order


def _ask(question: Callable[[], Value]) -> tuple[Value | None, str | None]:
    try:
        return question(), None
    except pynvml.NVMLError as error:
        return None, f"NVML: {error}"
    except (_UnreadableError, OSError) as error:
        return None, str(error)
    except (AttributeError, TypeError) as error:
        return None, f"the installed package pynvml is not the one of nvidia-ml-py: {error}"


def _text(value: str | bytes | None) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _answer(library: _Library, question: dict[str, Any]) -> dict[str, Any]:
    if question["ask"] == "open":
        library.open()
        return {"reason": library.reason, "gpus": library.gpus}
    if question["ask"] == "cuda":
        order, reason = _ask(_cuda_order)
        return {"reason": reason, "order": order or []}
    return _read(library.devices[question["uuid"]])


def _follow(lines: Iterable[str], questions: SimpleQueue[str]) -> None:
    for line in lines:
        questions.put(line)
    os._exit(0)  # the main thread may hang


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library may print
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, whatever the process does
    questions: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_follow, args=(sys.stdin, questions), daemon=True).start()
    library = _Library()
    while True:
        question = json.loads(questions.get())
        signal.setitimer(signal.ITIMER_REAL, question["limit_s"] + _GRACE_S)
        answer = _answer(library, question)
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

"""Readings of the GPUs from NVIDIA's management library, NVML.

The reader never raises an error: a value that cannot be read is None, and a reason says why. NVML numbers
all GPUs of the machine and ignores CUDA_VISIBLE_DEVICES, so GPUs are identified by UUIDs, not by numbers.

NVML runs in a process of its own (`harness.telemetry.nvml_process`), because a call of a driver can hang for
ever. Each question has a limit. After the first one that is not answered in time, that process is killed and
no reader of this program asks again.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

INIT_LIMIT_S = 30.0
"""The limit for opening NVML or CUDA. Without NVIDIA's persistence mode, the driver first initialises every
GPU, which takes seconds for each of them.
"""

QUERY_LIMIT_S = 5.0
"""The limit for one reading of a GPU, which usually takes milliseconds."""

_END_S = 1.0  # a killed process that hangs inside the kernel does not end, and nobody waits for it
_LIBRARY = "libnvidia-ml.so.1"
_MULTIARCH = f"{os.uname().machine}-linux-gnu"
_FOLDERS = (
    *("/lib", "/lib64", f"/lib/{_MULTIARCH}", "/usr/lib", "/usr/lib64", f"/usr/lib/{_MULTIARCH}"),
    *("/usr/local/lib", "/usr/lib/wsl/lib", f"{sys.base_prefix}/lib"),
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine, or an instance of a GPU in MIG mode."""

    uuid: str
    name: str | None
    memory_bytes: int | None
    driver: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """One reading of a GPU. A value that cannot be read is None, and `reasons` says why under its name.

    `memory_api` is the version of NVML's call for the memory: what the driver reserves is a part of
    `memory_used_bytes` in `v1`, and not in `v2`. `utilisation` is the share of the last sampling period (0.17
    to 1 s) in which a kernel ran, from 0 to 1. `energy_j` is a counter that began when the driver was loaded.
    The processes are bytes by process id, which may be that of another namespace; the bytes are None where
    NVML does not know them. An instance of a GPU in MIG mode has the temperature, the clocks and the
    throttling of its GPU.
    """

    memory_used_bytes: int | None = None
    memory_api: str | None = None
    utilisation: float | None = None
    compute_processes: Mapping[int, int | None] | None = None
    graphics_processes: Mapping[int, int | None] | None = None
    power_w: float | None = None
    energy_j: float | None = None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttling: tuple[str, ...] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


READINGS = tuple(value.name for value in fields(GpuReading) if value.name not in ("memory_api", "reasons"))


class NvmlReader:
    """Asks NVML. The first question starts the process that NVML runs in, and `close` ends it.

    `reason` says why nothing can be read: no library, no driver, NVML's error, or no answer. It is None if
    NVML works or if nothing was asked yet. Several threads may ask.
    """

    unanswered: ClassVar[str | None] = None
    """Why no reader of this program asks NVML any more."""

    def __init__(self) -> None:
        self.reason = None if library_exists() else f"NVIDIA's library {_LIBRARY} is not on this machine"
        self._process: _Process | None = None
        self._gpus: tuple[Gpu, ...] = ()
        self._asking = threading.Lock()

    def close(self) -> None:
        """End the process. Every later reading is None."""
        with self._asking:
            self.reason = self.reason or "the NVML reader was closed"
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs of the machine in NVML's order (by PCI bus), or an empty tuple if `reason` is set."""
        with self._asking:
            self._open()
            return self._gpus

    def read(self, uuid: str) -> GpuReading:
        """Read one GPU. Each value that cannot be read is None, with its reason."""
        with self._asking:
            self._open()
            why = self.reason
            if why is None and uuid not in {gpu.uuid for gpu in self._gpus}:
                why = f"NVML knows no GPU {uuid}"
            answer = None if why else self._ask("read", limit_s=QUERY_LIMIT_S, uuid=uuid)
            if answer is None:
                return GpuReading(reasons=dict.fromkeys(READINGS, why or str(self.reason)))
        for kind in ("compute_processes", "graphics_processes"):
            if answer[kind] is not None:
                answer[kind] = {int(pid): size for pid, size in answer[kind].items()}
        if answer["throttling"] is not None:
            answer["throttling"] = tuple(answer["throttling"])
        return GpuReading(**answer)

    def cuda_order(self) -> tuple[tuple[str, ...], str | None]:
        """The UUIDs of the GPUs that CUDA shows to programs with this environment, in CUDA's order; and why
        CUDA could not be asked, or None.
        """
        with self._asking:
            self._open()
            answer = self._ask("cuda", limit_s=INIT_LIMIT_S) if self.reason is None else None
            if answer is None:
                return (), self.reason
        known = {gpu.uuid.partition("-")[2]: gpu.uuid for gpu in self._gpus}
        return tuple(known[code] for code in answer["order"] if code in known), answer["reason"]

    def _open(self) -> None:
        if self._process is None and self.reason is None:
            self.reason = NvmlReader.unanswered
        if self._process is not None or self.reason is not None:
            return
        try:
            self._process = _Process()
        except OSError as error:
            self.reason = f"the process for NVML cannot be started: {error}"
            return
        answer = self._ask("open", limit_s=INIT_LIMIT_S)
        if answer is not None:
            self.reason = answer["reason"]
            self._gpus = tuple(Gpu(**gpu) for gpu in answer["gpus"])
        if self.reason is not None:
            self._end()

    def _ask(self, question: str, *, limit_s: float, **details: str) -> dict[str, Any] | None:
        """The answer, or None if there is none; then `reason` is set and nothing is asked again."""
        assert self._process is not None
        try:
            return self._process.ask({"ask": question, "limit_s": limit_s, **details}, limit_s)
        except TimeoutError:
            library = "CUDA" if question == "cuda" else "NVML"
            self.reason = NvmlReader.unanswered = f"{library} did not answer within {limit_s:g} s"
            self._end()
        except EOFError:
            self.reason = f"the process that reads NVML has ended ({self._end()})"
        return None

    def _end(self) -> str:
        """How the process ended, in words."""
        process, self._process, self._gpus = self._process, None, ()
        return process.end() if process is not None else "it was not running"


class _Process:
    """The process that NVML runs in. It inherits no open file, and it is in a session of its own, so that a
    Ctrl-C in the terminal does not end it before the last reading.
    """

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("nvml_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )

    def ask(self, question: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """The answer. Raises TimeoutError after the limit, and EOFError if the process has ended."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        deadline = time.monotonic() + limit_s
        try:
            self._child.stdin.write(json.dumps(question).encode() + b"\n")
        except BrokenPipeError:
            raise EOFError from None
        ready = select.poll()
        ready.register(self._child.stdout, select.POLLIN)
        line = b""
        while not line.endswith(b"\n"):
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            part = os.read(self._child.stdout.fileno(), 1 << 16)
            if not part:
                raise EOFError
            line += part
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> str:
        """Kill the process if it has not ended yet, and say how it ended."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.kill()
        self._child.stdin.close()
        self._child.stdout.close()
        try:
            status = self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "it hangs in the kernel"
        return f"exit status {status}" if status >= 0 else signal.Signals(-status).name


def library_exists(folders: Iterable[str] = _FOLDERS, cache: Path = Path("/etc/ld.so.cache")) -> bool:
    """Whether the dynamic linker would find NVIDIA's library: in LD_LIBRARY_PATH, in its usual folders, or by
    its cache. The library is not loaded, because that can hang.
    """
    listed = os.environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
    paths = (Path(folder, _LIBRARY) for folder in (*listed, *folders) if folder)
    if any(os.access(path, os.R_OK) for path in paths):
        return True
    try:
        return _LIBRARY.encode() in cache.read_bytes()
    except OSError:
        return False

"""The environment, which says which timings may be compared, and the provenance of a run.

The driver calls this, so versions are read from the metadata of packages, and no package is imported.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from harness.config import canonical_json
from harness.machine.variables import recorded_variables
from harness.masking import masked_arguments
from harness.telemetry.cgroup import Cgroup
from harness.telemetry.nvml import Gpu, NvmlReader

_PACKAGES = ("torch", "triton", "torchao", "numpy", "mkl", "intel-openmp", "safetensors", "sentencepiece")


class Environment(BaseModel):
    """Everything that timings depend on. Only timings from environments with equal digests may be paired."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    """The SHA-256 of the machine's id, never the id itself."""
    cpu: str
    cores: int
    """The number of cores that this process may run on."""
    cpu_quota: float | None
    """How many cores' worth of time the cgroup of this process allows; None means no limit."""
    memory_mib: int
    os: str
    kernel: str
    libc: str
    python: str
    packages: dict[str, str]
    gpus: tuple[Gpu, ...]
    nvml_reason: str | None
    """Why no GPU can be read. This is not part of the digest."""
    variables: dict[str, str]
    """Environment variables that change an allocator, threads or kernels, without secrets in their values."""

    @property
    def digest(self) -> str:
        """The SHA-256 in hexadecimal of all fields that are compared, whatever their order."""
        comparable = canonical_json(self.model_dump(mode="json", exclude={"nvml_reason"}))
        return hashlib.sha256(comparable.encode()).hexdigest()


class Provenance(BaseModel):
    """Where and how a run was started. It is recorded to trace a result and is never compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    git_commit: str | None
    git_dirty: bool | None
    """Whether tracked files differ from the commit; None outside of a repository."""
    argv: tuple[str, ...]
    """The command without the folder of its program, and without secrets."""
    started_at: datetime
    load: tuple[float, float, float]
    """The load averages of the last 1, 5 and 15 minutes."""


def environment() -> Environment:
    """The environment of this machine now. It raises no error. This takes about 10 ms, and with NVIDIA's
    library as long as NVML takes to open, but no longer than `harness.telemetry.nvml.INIT_LIMIT_S`.
    """
    with NvmlReader() as reader:
        gpus, nvml_reason = reader.gpus(), reader.reason
    return Environment(
        machine=_machine(),
        cpu=_cpu_model(),
        cores=affinity_cores(),
        cpu_quota=Cgroup().cpu_quota(),
        memory_mib=psutil.virtual_memory().total >> 20,
        os=_os_name(),
        kernel=platform.release(),
        libc=" ".join(platform.libc_ver()).strip(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=_versions(),
        gpus=gpus,
        nvml_reason=nvml_reason,
        variables=recorded_variables(),
    )


def provenance(directory: Path) -> Provenance:
    """The git state of `directory`, the command line, the time (UTC) and the load."""
    status = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return Provenance(
        git_commit=_git(directory, "rev-parse", "HEAD"),
        git_dirty=None if status is None else bool(status),
        argv=masked_arguments((Path(sys.argv[0]).name, *sys.argv[1:])),
        started_at=datetime.now(UTC),
        load=os.getloadavg(),
    )


def usable_cores() -> int:
    """How many threads can compute at the same time: the cores that this process may use, or the CPU quota,
    rounded down, if that is less. At least 1.

    More threads than that stop each other: the kernel halts all of them as soon as the quota is used up.
    """
    return cores_within(affinity_cores(), cpu_quota())


def cores_within(cores: int, quota: float | None) -> int:
    """The number of cores that a quota (in cores' worth of time; None means no limit) leaves usable."""
    return cores if quota is None else max(1, min(cores, int(quota)))


def affinity_cores() -> int:
    """The number of cores that this process may run on, which can be smaller than that of the machine."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def cpu_quota() -> float | None:
    """The CPU quota of this process in cores' worth of time. None means no limit. It is read once."""
    return Cgroup().cpu_quota()


def _machine() -> str:
    try:
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        identity = ""
    return hashlib.sha256(f"transformer-harness {identity or platform.node()}".encode()).hexdigest()


def _cpu_model() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.machine()  # ARM has no model name, and other systems have no /proc


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _git(directory: Path, *command: str) -> str | None:
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # reading must not take the lock that a commit needs
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *command],
            capture_output=True,
            text=True,
            timeout=10,
            env=environ,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

"""The control groups of a process (Linux): their limits, and what they counted.

The kernel has two versions. In version 1, every controller has a tree of its own (`/sys/fs/cgroup/cpu`), and
in version 2 all share one (`/sys/fs/cgroup`). Some systems mount both, with each controller in one of them.
Containers see only a part, so the folders are taken from the list of mounts and never guessed. A value is
None where the kernel does not show it. Nothing here raises an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

Value = TypeVar("Value")

PROC = Path("/proc")

_UNLIMITED = 1 << 62
"""Version 1 writes 2^63, rounded down to a page, for no limit of memory."""

_V2 = ""
"""The name of the tree of version 2, as in `/proc/PID/cgroup`; trees of version 1 have a controller's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """How often a CPU quota stopped the process's groups, since they were made.

    In `throttled_periods` of the `periods`, the quota was used up and the tasks had to wait.
    `throttled_seconds` is a sum over the cores, so it can grow faster than time passes.
    """

    periods: int
    throttled_periods: int
    throttled_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The shares of the last 10 s (0 to 1) in which some, or all, tasks waited for a resource.

    `full` is None on kernels that do not count it for the CPU.
    """

    some: float
    full: float | None


class Cgroup:
    """The groups of the process `pid` (this process if None), as they are when this object is made.

    `proc` is the folder of the process file system.
    """

    def __init__(self, pid: int | None = None, *, proc: Path = PROC) -> None:
        self._proc = proc
        self._groups: dict[str, tuple[Path, ...]] = {}
        """Controller, or `_V2` → the folders of the groups of the process, from the innermost to the root."""
        memberships = _memberships(_text(proc / ("self" if pid is None else str(pid)) / "cgroup"))
        for controllers, mounted_group, mount_point in _mounts(_text(proc / "self" / "mountinfo")):
            for controller in controllers & memberships.keys():
                self._groups.setdefault(
                    controller, _upwards(memberships[controller], mounted_group, mount_point)
                )

    def version_of(self, controller: Literal["cpu", "memory"]) -> int | None:
        """The version that a controller belongs to here; None without control groups."""
        if controller in self._groups:
            return 1
        return 2 if _V2 in self._groups else None

    def folder(self, controller: str) -> Path | None:
        """The folder of the process's group in the tree of a controller of version 1, for example "cpu"; ""
        stands for the tree of version 2. None if it is not mounted.
        """
        return next(iter(self._groups.get(controller, ())), None)

    def cpu_quota(self) -> float | None:
        """How many cores' worth of time the process may use: the tightest limit up to the root.

        None means no limit.
        """
        quotas = [
            *self._all(_V2, "cpu.max", _quota),
            *(
                _quota(f"{quota} {period}")
                for quota, period in zip(
                    self._all("cpu", "cpu.cfs_quota_us", str.strip),
                    self._all("cpu", "cpu.cfs_period_us", str.strip),
                    strict=False,
                )
            ),
        ]
        return min((quota for quota in quotas if quota is not None), default=None)

    def throttling(self) -> Throttling | None:
        """What the CPU quotas of all groups up to the root did; None if no group counts it."""
        counts = [*self._all(_V2, "cpu.stat", _counts), *self._all("cpu", "cpu.stat", _counts)]
        counts = [count for count in counts if "nr_throttled" in count]
        if not counts:
            return None
        return Throttling(
            periods=max(count.get("nr_periods", 0) for count in counts),
            throttled_periods=sum(count["nr_throttled"] for count in counts),
            throttled_seconds=sum(
                count.get("throttled_usec", 0) / 1e6 + count.get("throttled_time", 0) / 1e9
                for count in counts
            ),
        )

    def memory_limit_bytes(self) -> int | None:
        """The tightest limit up to the root. None means no limit."""
        limits = [
            *self._all(_V2, "memory.max", _number),
            *self._all("memory", "memory.limit_in_bytes", _number),
        ]
        return min((limit for limit in limits if limit is not None and limit < _UNLIMITED), default=None)

    def memory_bytes(self) -> int | None:
        """The memory of the innermost group that counts it. Pages of files that were read are part of it."""
        two = self._first(_V2, "memory.current", _number)
        return self._first("memory", "memory.usage_in_bytes", _number) if two is None else two

    def memory_peak_bytes(self) -> int | None:
        """The most that `memory_bytes` was since the group was made. Version 2 counts it since Linux 5.19."""
        two = self._first(_V2, "memory.peak", _number)
        return self._first("memory", "memory.max_usage_in_bytes", _number) if two is None else two

    def oom_kills(self) -> int | None:
        """How many processes of the innermost group were killed because its limit, one above it, or the host
        was out of memory.

        The kernel counts a kill in the group of the process that it kills. What the groups above count is not
        added, because that includes the processes of others.
        """
        two = self._first(_V2, "memory.events", _counts)
        counts = self._first("memory", "memory.oom_control", _counts) if two is None else two
        return None if counts is None else counts.get("oom_kill")

    def pressure(self, resource: Literal["cpu", "memory", "io"]) -> Pressure | None:
        """How much the tasks of the innermost group waited; those of the host if no group counts it."""
        group = self._first(_V2, f"{resource}.pressure", _pressure)
        return group or _pressure(_text(self._proc / "pressure" / resource) or "")

    def _all(self, controller: str, file: str, read: Callable[[str], Value]) -> Iterator[Value]:
        """What `read` makes of the file of this name in each group that has one, innermost first."""
        for group in self._groups.get(controller, ()):
            text = _text(group / file)
            if text is not None:
                yield read(text)

    def _first(self, controller: str, file: str, read: Callable[[str], Value]) -> Value | None:
        return next(self._all(controller, file, read), None)


def host_oom_kills(proc: Path = PROC) -> int | None:
    """How many processes of the host were killed because memory ran out, of a group or of the host."""
    return _counts(_text(proc / "vmstat") or "").get("oom_kill")


def _memberships(text: str | None) -> dict[str, str]:
    """Controller, or `_V2` → the path of the process's group there, from lines like `4:memory:/job`."""
    fields = [line.split(":", 2) for line in (text or "").splitlines()]
    return {controller: one[2] for one in fields if len(one) == 3 for controller in one[1].split(",")}


def _mounts(text: str | None) -> Iterator[tuple[frozenset[str], str, Path]]:
    """The controllers of each mounted tree, the group that the mount shows, and where it is mounted."""
    for line in (text or "").splitlines():
        mount, _, filesystem = line.partition(" - ")
        fields, words = mount.split(), filesystem.split()
        if len(fields) < 5 or not words:
            continue
        if words[0] == "cgroup2":
            yield frozenset((_V2,)), _unescaped(fields[3]), Path(_unescaped(fields[4]))
        elif words[0] == "cgroup":
            yield frozenset(words[-1].split(",")), _unescaped(fields[3]), Path(_unescaped(fields[4]))


def _upwards(path: str, mounted_group: str, mount_point: Path) -> tuple[Path, ...]:
    """The folders of a group and those above it, as far as the mount shows them."""
    try:
        inside = PurePosixPath(path).relative_to(mounted_group)
    except ValueError:
        return (mount_point,)  # the mount shows another part of the tree, for example only the container's
    if ".." in inside.parts:  # the group lies outside of the container's namespace
        return (mount_point,)
    return tuple(mount_point / group for group in (inside, *inside.parents))


def _unescaped(field: str) -> str:
    """A field of mountinfo, in which a blank is written as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), field)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _number(text: str) -> int | None:
    """None for the word "max"."""
    try:
        return int(text)
    except ValueError:
        return None


def _quota(text: str) -> float | None:
    """The cores' worth of time in "QUOTA PERIOD", both in microseconds; None for no limit."""
    quota, _, period = text.partition(" ")
    microseconds, per = _number(quota), _number(period)
    return microseconds / per if microseconds is not None and microseconds > 0 and per else None


def _counts(text: str) -> dict[str, int]:
    """The lines "NAME NUMBER" of a file."""
    lines = (line.split() for line in text.splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdecimal()}


def _pressure(text: str) -> Pressure | None:
    """The lines "some avg10=1.50 …" and "full avg10=0.00 …" of a file, in percent."""
    lines = re.findall(r"^(some|full) avg10=(\d+\.\d+) ", text, re.MULTILINE)
    shares = {name: float(percent) / 100 for name, percent in lines}
    return Pressure(some=shares["some"], full=shares.get("full")) if "some" in shares else None

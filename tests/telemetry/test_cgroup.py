"""Control groups of both versions, in folders like those of the kernel, and those of this machine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import pytest

from harness.machine.environment import affinity_cores
from harness.telemetry.cgroup import Cgroup, Pressure, Throttling, host_oom_kills
from tests.support.real_cgroup import quota_group

KIB, GIB = 1 << 10, 1 << 30
NO_LIMIT_V1 = 9223372036854771712


@dataclass
class System:
    """A process file system that lists mounts in `mounts`, and the groups of process 7."""

    folder: Path

    @property
    def proc(self) -> Path:
        return self.folder / "proc"

    def mount(self, kind: str, at: str, options: str, *, shows: str = "/") -> Path:
        point = self.folder / at
        point.mkdir(parents=True, exist_ok=True)
        escaped = str(point).replace(" ", "\\040")
        line = f"31 23 0:28 {shows} {escaped} rw,relatime shared:9 - {kind} {kind} {options}\n"
        with (self.proc / "self/mountinfo").open("a") as mounts:
            mounts.write(line)
        return point

    def cgroup(self, *memberships: str) -> Cgroup:
        (self.proc / "7").mkdir(exist_ok=True)
        (self.proc / "7/cgroup").write_text("".join(f"{line}\n" for line in memberships))
        return Cgroup(7, proc=self.proc)


@pytest.fixture
def system(tmp_path: Path) -> System:
    (tmp_path / "a system" / "proc" / "self").mkdir(parents=True)
    new = System(tmp_path / "a system")
    new.mount("proc", "proc", "rw")
    return new


def write(group: Path, **files: str) -> Path:
    """Files of a group, with `__` in a name for a dot."""
    group.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (group / name.replace("__", ".")).write_text(text + "\n")
    return group


def version_two(system: System) -> tuple[Path, Path, Path]:
    root = system.mount("cgroup2", "sys/fs/cgroup", "rw,nsdelegate")
    return root, write(root / "a"), write(root / "a" / "b")


def version_one(system: System, path: str) -> tuple[Path, Path]:
    """The groups of the two controllers; `cpu` shares its folder with another, as most systems have it."""
    cpu = system.mount("cgroup", "sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct")
    memory = system.mount("cgroup", "sys/fs/cgroup/memory", "rw,memory")
    return write(cpu / path), write(memory / path)


def test_limits_of_version_two_are_the_tightest_on_the_way_up(system: System) -> None:
    _, a, b = version_two(system)
    group = system.cgroup("0::/a/b")
    write(a, cpu__max="150000 100000", memory__max=str(3 * GIB))
    write(b, cpu__max="max 100000", memory__max="max")
    assert (group.cpu_quota(), group.memory_limit_bytes()) == (1.5, 3 * GIB)
    write(b, cpu__max="50000 100000", memory__max=str(2 * GIB))
    assert (group.cpu_quota(), group.memory_limit_bytes()) == (0.5, 2 * GIB)
    write(a, cpu__max="25000 100000", memory__max=str(GIB))
    assert (group.cpu_quota(), group.memory_limit_bytes()) == (0.25, GIB)


def test_limits_of_version_one_are_the_tightest_on_the_way_up(system: System) -> None:
    cpu, memory = version_one(system, "job/step")
    group = system.cgroup("4:memory:/job/step", "3:cpu,cpuacct:/job/step", "1:name=systemd:/else")
    write(cpu, cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    write(memory, memory__limit_in_bytes=str(NO_LIMIT_V1))
    assert (group.cpu_quota(), group.memory_limit_bytes()) == (None, None)
    write(cpu.parent, cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    write(memory.parent, memory__limit_in_bytes=str(GIB))
    assert (group.cpu_quota(), group.memory_limit_bytes()) == (2.5, GIB)


def test_without_limits_there_are_none(system: System) -> None:
    version_two(system)
    group = system.cgroup("0::/a/b")
    assert (group.cpu_quota(), group.memory_limit_bytes(), group.throttling()) == (None, None, None)
    assert (group.memory_bytes(), group.memory_peak_bytes(), group.oom_kills()) == (None, None, None)
    assert (group.version_of("cpu"), group.version_of("memory")) == (2, 2)


def test_memory_and_kills_of_version_two_are_the_innermost_group_s(system: System) -> None:
    _, a, b = version_two(system)
    group = system.cgroup("0::/a/b")
    write(
        a,
        memory__current="900",
        memory__peak="1000",
        memory__events="low 0\noom 4\noom_kill 3",
        memory__max="max",
    )
    assert (group.memory_bytes(), group.memory_peak_bytes(), group.oom_kills()) == (900, 1000, 3)
    write(
        b,
        memory__current="50",
        memory__peak="60",
        memory__events="low 0\noom 1\noom_kill 1\noom_group_kill 0",
    )
    assert (group.memory_bytes(), group.memory_peak_bytes(), group.oom_kills()) == (50, 60, 1)
    assert group.version_of("memory") == 2


def test_memory_and_kills_of_version_one_are_the_innermost_group_s(system: System) -> None:
    _, memory = version_one(system, "job")
    group = system.cgroup("4:memory:/job")
    write(memory.parent, memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 9")
    write(
        memory,
        memory__usage_in_bytes="50",
        memory__max_usage_in_bytes="60",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    )
    assert (group.memory_bytes(), group.memory_peak_bytes(), group.oom_kills()) == (50, 60, 2)
    assert (group.version_of("memory"), group.version_of("cpu")) == (1, None)


def test_throttling_of_both_versions_is_in_seconds_and_counts_every_group_above(system: System) -> None:
    _, a, b = version_two(system)
    two = system.cgroup("0::/a/b")
    write(b, cpu__stat="usage_usec 12\nuser_usec 12")  # without a quota, the kernel may count only the usage
    assert two.throttling() is None
    write(b, cpu__stat="usage_usec 12\nnr_periods 40\nnr_throttled 5\nthrottled_usec 250000")
    write(a, cpu__stat="usage_usec 12\nnr_periods 90\nnr_throttled 1\nthrottled_usec 1000000")
    assert two.throttling() == Throttling(periods=90, throttled_periods=6, throttled_seconds=1.25)
    cpu, _ = version_one(system, "job")
    write(cpu, cpu__stat="nr_periods 40\nnr_throttled 5\nthrottled_time 250000000")
    one = system.cgroup("3:cpu,cpuacct:/job")
    assert one.throttling() == Throttling(periods=40, throttled_periods=5, throttled_seconds=0.25)


def test_a_system_with_both_versions(system: System) -> None:
    """The controllers count in version 1, and version 2 is mounted beside them for its pressure files."""
    cpu, memory = version_one(system, "job")
    unified = system.mount("cgroup2", "sys/fs/cgroup/unified", "rw")
    group = system.cgroup("4:memory:/job", "1:cpu,cpuacct:/job", "0::/")
    write(cpu, cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000")
    write(memory, memory__limit_in_bytes=str(GIB))
    write(unified, cpu__stat="usage_usec 9", cpu__pressure="some avg10=12.50 avg60=0.10 avg300=0.01 total=99")
    assert (group.cpu_quota(), group.memory_limit_bytes(), group.throttling()) == (2.0, GIB, None)
    assert (group.version_of("cpu"), group.version_of("memory")) == (1, 1)
    assert group.pressure("cpu") == Pressure(some=0.125, full=None)
    assert (group.folder("cpu"), group.folder("memory"), group.folder("")) == (cpu, memory, unified)
    assert group.folder("io") is None


def test_a_container_that_sees_only_its_own_group(system: System) -> None:
    """Docker mounts the container's group, while the list of groups may name it as the host does."""
    point = system.mount("cgroup2", "sys/fs/cgroup", "rw", shows="/docker/4f2a")
    write(point, cpu__max="200000 100000")
    write(point / "inner", cpu__max="100000 100000")
    assert system.cgroup("0::/docker/4f2a").cpu_quota() == 2.0
    assert system.cgroup("0::/docker/4f2a/inner").cpu_quota() == 1.0
    assert system.cgroup("0::/another").cpu_quota() == 2.0
    assert system.cgroup("0::/../another").cpu_quota() == 2.0


def test_a_process_outside_of_the_namespace_of_the_container(system: System) -> None:
    """Its path leads upwards, out of what the mount shows."""
    point = system.mount("cgroup2", "sys/fs/cgroup", "rw")
    write(point, cpu__max="200000 100000")
    write(point.parent / "another", cpu__max="100000 100000")
    assert system.cgroup("0::/../another").cpu_quota() == 2.0


def test_pressure_of_the_host_stands_in_for_that_of_the_group(system: System) -> None:
    version_two(system)
    group = system.cgroup("0::/a")
    assert group.pressure("memory") is None
    lines = "some avg10=1.00 avg60=2.00 avg300=3.00 total=4\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=1"
    write(system.proc / "pressure", memory=lines)
    assert group.pressure("memory") == Pressure(some=0.01, full=0.005)


def test_a_system_without_groups_or_a_process_that_has_gone(tmp_path: Path, system: System) -> None:
    _, a, _ = version_two(system)
    write(a, cpu__max="1 1", memory__max="1", memory__current="1", memory__events="oom_kill 1")
    for group in (Cgroup(7, proc=tmp_path / "nothing"), Cgroup(8, proc=system.proc)):
        assert (group.cpu_quota(), group.throttling(), group.memory_limit_bytes()) == (None, None, None)
        assert (group.memory_bytes(), group.memory_peak_bytes(), group.oom_kills()) == (None, None, None)
        assert group.version_of("cpu") is None


@pytest.mark.parametrize("garbage", ["", "\n", "max", "-1 0", "a b c", "some avg10=", "0::", ":::", "\0" * 9])
def test_files_that_hold_garbage_are_unknown(system: System, garbage: str) -> None:
    _, a, _ = version_two(system)
    cpu, memory = version_one(system, "job")
    (system.proc / "self/mountinfo").open("a").write(f"{garbage}\n - cgroup2\n1 2 3 4 5 - \n")
    names = (
        "cpu.max",
        "cpu.stat",
        "memory.max",
        "memory.current",
        "memory.peak",
        "memory.events",
        "cpu.pressure",
    )
    for name in names:
        (a / name).write_text(garbage)
    for folder in (cpu, memory):
        for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.stat", "memory.limit_in_bytes"):
            (folder / name).write_text(garbage)
    group = system.cgroup("0::/a", "4:memory:/job", "1:cpu,cpuacct:/job", garbage)
    assert (group.cpu_quota(), group.throttling(), group.memory_limit_bytes()) == (None, None, None)
    assert (group.memory_bytes(), group.memory_peak_bytes(), group.oom_kills()) == (None, None, None)
    assert group.pressure("cpu") is None


def test_kills_of_the_host(tmp_path: Path) -> None:
    assert host_oom_kills(tmp_path) is None
    write(tmp_path, vmstat="nr_free_pages 9\noom_kill 4\nnuma_hit 5")
    assert host_oom_kills(tmp_path) == 4


def test_a_real_quota_limits_the_usable_cores() -> None:
    """A process that may run on every core, and is given the time of one and a half."""
    program = (
        "import sys; sys.stdin.readline()\n"
        "from harness.machine.environment import affinity_cores, environment, usable_cores\n"
        "from harness.run.resources import worker_threads\n"
        "print(affinity_cores(), environment().cpu_quota, usable_cores(), worker_threads('train'))"
    )
    with (
        quota_group(1.5) as group,
        subprocess.Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, text=True) as child,
    ):
        (group / "cgroup.procs").write_text(str(child.pid))
        printed, _ = child.communicate("go\n")
    assert printed.split() == [str(affinity_cores()), "1.5", "1", "1"]


def test_this_machine() -> None:
    if sys.platform != "linux":
        pytest.skip("control groups are Linux's")
    group = Cgroup()
    limit, used, peak = group.memory_limit_bytes(), group.memory_bytes(), group.memory_peak_bytes()
    assert limit is None or limit > 10 * 1024 * KIB
    if used is None or peak is None:
        pytest.skip("this machine does not show the memory of a group")
    assert used > 0
    assert peak > 0
    assert (group.oom_kills() or 0) >= 0

"""A real control group with a limit of memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run.backends.ending import MemoryKills, ending
from harness.run.backends.memory_group import MemoryGroup
from harness.telemetry.cgroup import Cgroup
from harness.trial.causes import Cause

LIMIT = 100 * 2**20
ALLOCATE = "import sys; sys.stdin.readline(); block = b'x' * int(sys.argv[1]); print(len(block))"


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    group = MemoryGroup.with_limit(LIMIT)
    if group is None:
        pytest.skip("this machine lets us make no control group with a limit of memory")
    yield group
    group.remove()


@pytest.mark.parametrize(("size", "dies"), [(10 * 2**20, False), (4 * LIMIT, True)])
def test_the_kernel_kills_a_process_that_needs_more_than_the_limit(
    group: MemoryGroup,
    size: int,
    dies: bool,  # noqa: FBT001
) -> None:
    command = [sys.executable, "-c", ALLOCATE, str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        group.add(process.pid)
        printed, _ = process.communicate("go\n", timeout=60)
    assert (process.returncode == -9) == dies == group.has_killed == group.has_reached_limit
    assert printed == ("" if dies else f"{size}\n")


def test_a_kill_because_memory_ran_out_above_the_group_is_not_one_of_its_limit(group: MemoryGroup) -> None:
    """The group above has 100 MiB, and the one of the trial would allow twice as much."""
    above = group._folder
    if (above / "memory.max").exists():
        (above / "cgroup.subtree_control").write_text("+memory")
        limit = "memory.max"
    else:
        limit = "memory.limit_in_bytes"
    inner = MemoryGroup(above / "inner", 2 * LIMIT, {limit: 2 * LIMIT})
    kills = MemoryKills(inner)
    assert ending(-9, kills).cause is Cause.KILLED
    command = [sys.executable, "-c", ALLOCATE, str(4 * LIMIT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        inner.add(process.pid)
        process.communicate("go\n", timeout=60)
    killed, reached = inner.has_killed, inner.has_reached_limit
    assert ending(process.returncode, kills).cause is Cause.HOST_MEMORY
    inner.remove()
    assert (process.returncode, killed, reached) == (-9, True, False)


@pytest.mark.parametrize(
    ("files", "killed", "reached"),
    [
        ({"memory.events": "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\n"}, False, False),
        ({"memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n"}, True, True),
        ({"memory.events": "low 0\nhigh 0\nmax 7\noom 0\noom_kill 1\noom_group_kill 0\n"}, True, False),
        ({"memory.failcnt": "3\n", "memory.oom_control": "under_oom 0\noom_kill 1\n"}, True, True),
        ({"memory.failcnt": "0\n", "memory.oom_control": "under_oom 0\noom_kill 1\n"}, True, False),
    ],
)
def test_what_the_kernel_counts_in_either_version(
    tmp_path: Path,
    files: dict[str, str],
    killed: bool,  # noqa: FBT001
    reached: bool,  # noqa: FBT001
) -> None:
    group = MemoryGroup(tmp_path / "group", LIMIT, {})
    assert not group.has_killed
    assert not group.has_reached_limit
    for name, text in files.items():
        (tmp_path / "group" / name).write_text(text)
    assert (group.has_killed, group.has_reached_limit) == (killed, reached)


def test_a_group_is_removed_and_so_are_those_of_dead_drivers(group: MemoryGroup) -> None:
    """Those of the living stay."""
    parent = group._folder.parent
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = parent / f"harness-memory-{ended.pid}-0"
    left.mkdir()
    another = MemoryGroup.with_limit(LIMIT)
    assert another is not None
    assert not left.exists()
    assert group._folder.exists()
    another.remove()
    assert not another._folder.exists()


def test_without_control_groups_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("harness.run.backends.memory_group.Cgroup", lambda: Cgroup(proc=tmp_path))
    assert MemoryGroup.with_limit(LIMIT) is None

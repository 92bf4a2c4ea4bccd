"""A real control group with a limit of memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run.backends.memory_group import MemoryGroup
from harness.telemetry.cgroup import Cgroup

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
    assert (process.returncode == -9) == dies == group.has_killed
    assert printed == ("" if dies else f"{size}\n")


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

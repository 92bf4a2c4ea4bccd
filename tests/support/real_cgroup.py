"""A control group of this machine with a CPU quota, for tests that must see the kernel throttle."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.telemetry.cgroup import Cgroup

_PERIOD_US = 100_000


@contextlib.contextmanager
def quota_group(cores: float) -> Iterator[Path]:
    """A new group below that of this process, with a quota of this many cores' worth of time. Writing a
    process id to its `cgroup.procs` moves the process there. The group comes before other groups, so that a
    busy loop in it uses up the quota on a busy machine too.

    The test is skipped, with the reason, if this machine does not let us make such a group.
    """
    folder: Path | None = None
    try:
        folder = _make(f"harness-test-{os.getpid()}", int(cores * _PERIOD_US))
    except OSError as error:
        pytest.skip(f"this machine lets us make no control group with a CPU quota: {error}")
    try:
        yield folder
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            (folder.parent / "cgroup.procs").write_text(pid)
        folder.rmdir()


def _make(name: str, quota_us: int) -> Path:
    """Raises OSError if that is not possible."""
    groups = Cgroup()
    first = {
        "cpu.cfs_period_us": f"{_PERIOD_US}",
        "cpu.cfs_quota_us": f"{quota_us}",
        "cpu.shares": "262144",
    }
    second = {"cpu.max": f"{quota_us} {_PERIOD_US}", "cpu.weight": "10000"}
    for parent, files in ((groups.folder("cpu"), first), (groups.folder(""), second)):
        if parent is None:
            continue
        folder = parent / name
        folder.mkdir()
        try:
            for file, text in files.items():
                (folder / file).write_text(text)
        except OSError:
            folder.rmdir()
            raise
        return folder
    raise OSError("no control groups are mounted")

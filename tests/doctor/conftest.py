"""A machine of files, which tests write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.doctor import Finding, Machine

Check = Callable[[Machine], Iterator[Finding]]


@dataclass(frozen=True)
class FakeMachine:
    """Below `root` there is nothing but what a test has written."""

    root: Path

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def machine(self, **changes: Any) -> Machine:
        folders = {name: self.root / name for name in ("results", "reports", "cache")}
        plain: dict[str, Any] = {"store": str(folders["results"] / "harness.db"), "affinity": 4}
        plain |= {"synchronised": lambda: True, "pause": lambda _: None}
        return Machine(root=self.root, **(folders | plain | changes))

    def cgroup(self, **files: str) -> None:
        """This process is in the group /job of version 2, which has these files (with `__` for a dot)."""
        point = self.root / "sys/fs/cgroup"
        self.write("proc/self/cgroup", "0::/job\n")
        self.write("proc/self/mountinfo", f"31 23 0:28 / {point} rw - cgroup2 cgroup2 rw\n")
        (point / "job").mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            self.write(f"sys/fs/cgroup/job/{name.replace('__', '.')}", f"{text}\n")

    def findings(self, check: Check, **changes: Any) -> dict[str, Finding]:
        """The findings of a check by their subjects."""
        return {finding.subject: finding for finding in check(self.machine(**changes))}

    def only(self, check: Check, **changes: Any) -> Finding:
        (finding,) = check(self.machine(**changes))
        return finding


@pytest.fixture
def fake(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)

"""Whether workers can have huge pages (2 MiB instead of 4 KiB), which they ask for."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine

_FIRST_GLIBC = (2, 35)
"""The first version with the tunable `glibc.malloc.hugetlb`."""


def check_huge_pages(machine: Machine) -> Iterator[Finding]:
    setting = machine.line("sys/kernel/mm/transparent_hugepage/enabled") or ""
    mode = setting.partition("[")[2].partition("]")[0]
    meaning = "training can be up to a quarter slower, because the processor looks up more pages"
    if mode in ("always", "madvise"):
        yield _library(f"transparent huge pages: {mode}", meaning)
    elif mode:
        yield Finding(
            subject="huge pages",
            state="limited",
            seen=f"transparent huge pages: {mode}",
            meaning=meaning,
            advice="echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (root)",
        )
    else:
        yield Finding(
            subject="huge pages",
            state="missing",
            seen="this kernel has none",
            meaning=meaning,
            advice="use a kernel with transparent huge pages",
        )


def _library(seen: str, meaning: str) -> Finding:
    library, version = platform.libc_ver()
    if library == "glibc" and tuple(map(int, version.split(".")[:2])) >= _FIRST_GLIBC:
        return Finding(subject="huge pages", state="ok", seen=seen)
    name = f"{library} {version}".strip() or "a C library other than glibc"
    return Finding(
        subject="huge pages",
        state="limited",
        seen=f"{seen}, but {name} does not ask for them",
        meaning=meaning,
        advice="use a system with glibc 2.35 or newer, or set transparent huge pages to always (root)",
    )

"""Where results, reports and the cache are written: whether there is space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.wording import format_bytes

ENOUGH_BYTES = 2 << 30
"""The corpora and checkpoints of the shipped studies need less."""


def check_disks(machine: Machine) -> Iterator[Finding]:
    for name, folder in (
        ("results", machine.results),
        ("reports", machine.reports),
        ("cache", machine.cache),
    ):
        yield _disk(f"disk of {name}", folder)


def _disk(subject: str, folder: Path) -> Finding:
    existing = _nearest(folder)
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding(
            subject=subject,
            state="missing",
            seen=f"{folder}: {error.strerror}",
            meaning="nothing can be written there",
            advice="choose another folder",
        )
    seen = f"{folder}: {format_bytes(free)} free"
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            subject=subject,
            state="missing",
            seen=f"{seen}; {existing} cannot be written",
            meaning="`harness run` refuses to begin",
            advice="choose another folder, or change the permissions",
        )
    if free < ENOUGH_BYTES:
        return Finding(
            subject=subject,
            state="limited",
            seen=seen,
            meaning="a run may end with a full disk; what it has recorded stays",
            advice=f"free {format_bytes(ENOUGH_BYTES)}, or choose another folder",
        )
    return Finding(subject=subject, state="ok", seen=seen)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    nearest = folder.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    return nearest

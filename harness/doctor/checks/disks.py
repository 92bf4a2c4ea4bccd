"""Where results, reports and the cache are written: whether they can be, and whether a network is between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.paths import is_read_only, nearest
from harness.wording import format_bytes

ENOUGH_BYTES = 2 << 30
"""The corpora and checkpoints of the shipped studies need less."""


def check_disks(machine: Machine) -> Iterator[Finding]:
    for name, folder in (
        ("results", machine.results),
        ("reports", machine.reports),
        ("cache", machine.cache),
    ):
        yield _disk(machine, name, folder)


def _disk(machine: Machine, name: str, folder: Path) -> Finding:
    subject, existing = f"disk of {name}", nearest(folder)
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
    system = machine.file_system(folder)
    shared = "" if system.is_local else f", on {system.kind}, which other machines may share"
    seen = f"{folder}: {format_bytes(free)} free{shared}"
    if is_read_only(existing):
        return Finding(
            subject=subject,
            state="missing",
            seen=f"{seen}; the file system is read-only",
            meaning="`harness run` refuses to begin",
            advice="choose another folder, or mount the file system so that it can be written",
        )
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
    if shared and name == "cache":
        return Finding(
            subject=subject,
            state="limited",
            seen=seen,
            meaning="trials read their texts from there and may wait for the network",
            advice="set HARNESS_CACHE to a folder on a disk of this machine",
        )
    return Finding(subject=subject, state="ok", seen=seen)

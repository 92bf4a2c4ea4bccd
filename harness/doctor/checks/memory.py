"""Memory that is free, and swap in use."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.wording import format_bytes

ENOUGH_BYTES = 2 << 30
"""The shipped studies need less at the scale of two cores."""

_KIB = 1024


def check_memory(machine: Machine) -> Iterator[Finding]:
    sizes = {}
    for line in machine.text("proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        sizes[name] = int(value.split()[0]) * _KIB
    if "MemAvailable" not in sizes:
        yield Finding(
            subject="memory",
            state="missing",
            seen="/proc/meminfo cannot be read",
            meaning="nobody knows whether a trial fits",
            advice="run where /proc is mounted",
        )
        return
    free, total = sizes["MemAvailable"], sizes["MemTotal"]
    seen = f"{format_bytes(free)} of {format_bytes(total)} available"
    if free < ENOUGH_BYTES:
        yield Finding(
            subject="memory",
            state="limited",
            seen=seen,
            meaning="trials may swap or be killed",
            advice=f"end other programs until {format_bytes(ENOUGH_BYTES)} are available",
        )
    else:
        yield Finding(subject="memory", state="ok", seen=seen)
    swapped = sizes.get("SwapTotal", 0) - sizes.get("SwapFree", 0)
    if swapped > 0:
        yield Finding(
            subject="swap",
            state="limited",
            seen=f"{format_bytes(swapped)} in use",
            meaning="reading memory back from the disk slows a trial; the report counts such trials",
            advice="free memory, then swapoff -a && swapon -a (root)",
        )

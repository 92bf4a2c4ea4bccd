"""Counters of the kernel that explain a slow trial: pressure, and performance events."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.telemetry.cgroup import Cgroup

MOST_PRESSURE = 0.1
"""The share of time in which tasks may wait for a processor."""

_MOST_PARANOID = 2
"""Up to this value, a program may count the events of its own processes."""


def check_kernel_counters(machine: Machine) -> Iterator[Finding]:
    yield _pressure(machine)
    yield _events(machine)


def _pressure(machine: Machine) -> Finding:
    group = Cgroup(proc=machine.proc)
    shares = {
        "processor": group.pressure("cpu"),
        "memory": group.pressure("memory"),
        "disk": group.pressure("io"),
    }
    known = {name: pressure.some for name, pressure in shares.items() if pressure is not None}
    if not known:
        return Finding(
            subject="pressure (PSI)",
            state="missing",
            seen="the kernel does not count it",
            meaning="waiting for a processor, memory or a disk cannot be told apart here",
            advice="boot with psi=1",
        )
    seen = ", ".join(f"{share:.0%} {name}" for name, share in known.items())
    if max(known.values()) < MOST_PRESSURE:
        return Finding(subject="pressure (PSI)", state="ok", seen=f"time spent waiting: {seen}")
    return Finding(
        subject="pressure (PSI)",
        state="limited",
        seen=f"time spent waiting in the last 10 s: {seen}",
        meaning="programs wait for each other, so a trial would wait too",
        advice="wait until the machine is quiet",
    )


def _events(machine: Machine) -> Finding:
    text = machine.line("proc/sys/kernel/perf_event_paranoid")
    try:
        level = int(text or "")
    except ValueError:
        return Finding(
            subject="performance events",
            state="missing",
            seen="the kernel has none",
            meaning="`perf` cannot explain a difference; verdicts do not need it",
            advice="use a kernel with perf events",
        )
    if level <= _MOST_PARANOID:
        return Finding(subject="performance events", state="ok", seen=f"perf_event_paranoid is {level}")
    return Finding(
        subject="performance events",
        state="limited",
        seen=f"perf_event_paranoid is {level}, so only root may count them",
        meaning="`perf` cannot explain a difference; verdicts do not need it",
        advice=f"sysctl kernel.perf_event_paranoid={_MOST_PARANOID} (root)",
    )

"""The clock that times units, and whether the wall clock is right."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine

_FAST = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")
"""They are read without a system call, in some 30 ns."""


def check_clocks(machine: Machine) -> Iterator[Finding]:
    source = machine.line("sys/devices/system/clocksource/clocksource0/current_clocksource")
    if source is None:
        yield Finding(
            subject="clock source",
            state="missing",
            seen="the kernel does not show it",
            meaning="reading the clock may take microseconds",
            advice="compare the step of the clock in `harness calibrate`",
        )
    elif source in _FAST:
        yield Finding(subject="clock source", state="ok", seen=source)
    else:
        yield Finding(
            subject="clock source",
            state="limited",
            seen=source,
            meaning="each reading of the clock is a system call of microseconds, which short units contain",
            advice="boot with clocksource=tsc if the processor has an invariant one; see the kernel's log",
        )
    yield _wall_clock(machine)


def _wall_clock(machine: Machine) -> Finding:
    synchronised = machine.synchronised()
    if synchronised:
        return Finding(subject="wall clock", state="ok", seen="synchronised")
    unknown = "the kernel does not say whether it is synchronised"
    return Finding(
        subject="wall clock",
        state="missing" if synchronised is None else "limited",
        seen=unknown if synchronised is None else "not synchronised",
        meaning="the dates of runs may be wrong; neither timings nor the order of runs use this clock",
        advice="run chrony or systemd-timesyncd on the host",
    )

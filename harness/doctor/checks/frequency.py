"""The frequency of the processor: whether it is known, whether it changes by itself, and who may fix it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine

_FIXED = ("performance",)


def check_frequency(machine: Machine) -> Iterator[Finding]:
    governors = {
        text
        for file in sorted(machine.cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"))
        if (text := machine.line(str(file.relative_to(machine.root))))
    }
    if not governors:
        yield Finding(
            subject="frequency",
            state="missing",
            seen="the kernel has no frequency control here, as in most virtual machines",
            meaning="changes of the frequency are not seen; comparing arms within rounds cancels slow ones",
            advice="for absolute times, use a machine without virtualisation",
        )
        yield from _boost(machine)
        return
    driver = machine.line("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver") or "unknown driver"
    control = machine.cpus / "cpu0/cpufreq/scaling_max_freq"
    may = "may" if os.access(control, os.W_OK) else "may not"
    seen = f"governor {', '.join(sorted(governors))} ({driver}); this user {may} set it"
    if governors <= set(_FIXED):
        yield Finding(subject="frequency", state="ok", seen=seen)
    else:
        yield Finding(
            subject="frequency",
            state="limited",
            seen=seen,
            meaning="the frequency follows the load, so short units begin at a low one",
            advice="cpupower frequency-set -g performance (root)",
        )
    yield from _boost(machine)


def _boost(machine: Machine) -> Iterator[Finding]:
    no_turbo = machine.line("sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = machine.line("sys/devices/system/cpu/cpufreq/boost")
    if no_turbo is None and boost is None:
        yield Finding(
            subject="turbo",
            state="missing",
            seen="the kernel does not show whether the processor boosts its frequency",
            meaning="the frequency may depend on the temperature and on how many cores are busy",
            advice="switch turbo off in the firmware of the host, or compare within rounds only",
        )
    elif no_turbo == "1" or (no_turbo is None and boost == "0"):
        yield Finding(subject="turbo", state="ok", seen="off")
    else:
        file = "cpufreq/boost" if no_turbo is None else "intel_pstate/no_turbo"
        value = "0" if no_turbo is None else "1"
        yield Finding(
            subject="turbo",
            state="limited",
            seen="on",
            meaning="the frequency depends on the temperature and on how many cores are busy",
            advice=f"echo {value} > /sys/devices/system/cpu/{file} (root)",
        )

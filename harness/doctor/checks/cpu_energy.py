"""Whether the energy of the processor can be read (RAPL)."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.telemetry.rapl import POWERCAP, PackageEnergy


def check_cpu_energy(machine: Machine) -> Iterator[Finding]:
    reason = PackageEnergy(machine.root / POWERCAP.relative_to("/")).reason
    if reason is None:
        yield Finding(
            subject="processor energy (RAPL)",
            state="ok",
            seen="readable",
            meaning="it covers whole packages with every program that runs there",
        )
        return
    yield Finding(
        subject="processor energy (RAPL)",
        state="missing",
        seen=reason,
        meaning="the energy of trials on the CPU is not recorded",
        advice="chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj (root); virtual machines have none",
    )

"""How many cores trials compute on, and whether two of them are halves of one core."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.run.resources import worker_threads
from harness.telemetry.cgroup import Cgroup
from harness.wording import count


def check_cores(machine: Machine) -> Iterator[Finding]:
    quota = Cgroup(proc=machine.proc).cpu_quota()
    usable = machine.usable_cores
    seen = f"{count(machine.affinity, 'core')} by affinity, "
    seen += "no CPU quota" if quota is None else f"a CPU quota of {quota:.3g}"
    threads = count(worker_threads("measure", usable), "thread")
    if usable == 1:
        yield Finding(
            subject="usable cores",
            state="limited",
            seen=f"{seen}: 1 usable",
            meaning="a timed trial shares the only core with the driver and with every other program",
            advice="allow this process a second core",
        )
    else:
        yield Finding(
            subject="usable cores",
            state="ok",
            seen=f"{seen}: {usable:,} usable",
            meaning=f"a timed trial computes with {threads}, and a core is left to the driver",
        )
    yield from _hyperthreading(machine)


def _hyperthreading(machine: Machine) -> Iterator[Finding]:
    active = machine.line("sys/devices/system/cpu/smt/active")
    if active == "1":
        yield Finding(
            subject="hyperthreading",
            state="limited",
            seen="on: two of the cores are halves of one",
            meaning="what runs on the other half of a core slows a trial, and no telemetry shows it",
            advice="switch it off: echo off > /sys/devices/system/cpu/smt/control (root)",
        )
    elif active == "0":
        yield Finding(subject="hyperthreading", state="ok", seen="off, or the processor has none")
    else:
        yield Finding(
            subject="hyperthreading",
            state="missing",
            seen="the kernel does not show it",
            meaning="two cores may be halves of one, which disturb each other",
            advice="run on a machine whose cores are known to be whole",
        )

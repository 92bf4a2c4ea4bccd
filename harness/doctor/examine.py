"""All checks, in the order in which their findings are shown.

A new kind of finding is a file in `harness/doctor/checks` and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.doctor.checks.clocks import check_clocks
from harness.doctor.checks.control_group import check_control_group
from harness.doctor.checks.cores import check_cores
from harness.doctor.checks.cpu_energy import check_cpu_energy
from harness.doctor.checks.disks import check_disks
from harness.doctor.checks.frequency import check_frequency
from harness.doctor.checks.gpus import check_gpus
from harness.doctor.checks.huge_pages import check_huge_pages
from harness.doctor.checks.kernel_counters import check_kernel_counters
from harness.doctor.checks.lease import check_lease
from harness.doctor.checks.load import check_load
from harness.doctor.checks.memory import check_memory
from harness.doctor.checks.sqlite_journal import check_sqlite_journal
from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.wording import words

CHECKS: tuple[Callable[[Machine], Iterator[Finding]], ...] = (
    check_lease,
    check_load,
    check_cores,
    check_control_group,
    check_frequency,
    check_clocks,
    check_memory,
    check_huge_pages,
    check_gpus,
    check_cpu_energy,
    check_kernel_counters,
    check_disks,
    check_sqlite_journal,
)


def examine(machine: Machine) -> list[Finding]:
    """The findings of all checks. This takes about a second, in most of which the load is watched."""
    return [finding for check in CHECKS for finding in _findings(check, machine)]


def _findings(check: Callable[[Machine], Iterator[Finding]], machine: Machine) -> list[Finding]:
    try:
        return list(check(machine))
    except (OSError, ValueError, LookupError) as error:
        return [
            Finding(
                subject=words(check.__name__.removeprefix("check_")),
                state="missing",
                seen=f"cannot be examined: {type(error).__name__}: {' '.join(str(error).split())}",
                meaning="this kernel shows something that the harness does not know",
                advice="report this line together with the version of the kernel (uname -r)",
            )
        ]

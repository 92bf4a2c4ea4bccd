"""What keeps the machine busy now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.run.resources import worker_threads
from harness.telemetry.disturbance import MOST_TAKEN
from harness.visible import visible

WATCHED_S = 0.5
MOST_NAMED = 5
MOST_STOLEN = 0.01

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STEAL = 8
"""The field of the line `cpu` in /proc/stat with the time that the hypervisor gave to others."""


@dataclass(frozen=True, slots=True)
class _Times:
    """CPU seconds since the start of the machine: of all cores, stolen ones, and by process id and name."""

    cores: int
    busy: float
    stolen: float
    processes: Mapping[tuple[int, str], float]


def check_load(machine: Machine) -> Iterator[Finding]:
    before = _times(machine.proc)
    machine.pause(WATCHED_S)
    after = _times(machine.proc)
    if before is None or after is None:
        yield Finding(
            subject="load",
            state="missing",
            seen="/proc/stat cannot be read",
            meaning="rounds that other programs disturb are not recognised",
            advice="run where /proc is mounted",
        )
        return
    busy = (after.busy - before.busy) / WATCHED_S
    threads = worker_threads("measure", machine.usable_cores)
    named = ", ".join(
        f"{name} ({pid}) {cores:.1f}" for (pid, name), cores in _busiest(before.processes, after.processes)
    )
    seen = f"{busy:.1f} of {after.cores} cores busy" + (f": {named}" if named else "")
    if busy - (after.cores - threads) < MOST_TAKEN * threads:
        yield Finding(subject="load", state="ok", seen=seen)
    else:
        yield Finding(
            subject="load",
            state="limited",
            seen=seen,
            meaning="other programs take cores from trials, and rounds that they disturb are void",
            advice="stop these programs, or wait; those of other containers are counted, but cannot be named",
        )
    yield from _stolen((after.stolen - before.stolen) / WATCHED_S / after.cores)


def _stolen(share: float) -> Iterator[Finding]:
    if share >= MOST_STOLEN:
        yield Finding(
            subject="stolen time",
            state="limited",
            seen=f"the hypervisor gave {share:.0%} of the time to other machines",
            meaning="a trial stands still meanwhile",
            advice="use a virtual machine with cores of its own",
        )


def _busiest(
    before: Mapping[tuple[int, str], float], after: Mapping[tuple[int, str], float]
) -> list[tuple[tuple[int, str], float]]:
    """The processes that kept at least a tenth of a core busy, without this one."""
    used = {
        key: (seconds - before.get(key, seconds)) / WATCHED_S
        for key, seconds in after.items()
        if key[0] != os.getpid()
    }
    busy = [(key, cores) for key, cores in used.items() if cores >= 0.1]
    return sorted(busy, key=lambda one: -one[1])[:MOST_NAMED]


def _times(proc: Path) -> _Times | None:
    try:
        lines = (proc / "stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = [int(word) / _TICKS_PER_S for word in lines[0].split()[1:]]
    fields += [0.0] * (_STEAL - len(fields))
    user, nice, system, _idle, _waiting, irq, softirq, stolen = fields[:8]
    return _Times(
        cores=sum(line[:3] == "cpu" and line[3].isdigit() for line in lines),
        busy=user + nice + system + irq + softirq,
        stolen=stolen,
        processes=dict(_processes(proc)),
    )


def _processes(proc: Path) -> Iterator[tuple[tuple[int, str], float]]:
    for folder in proc.glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        seconds = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        yield (int(folder.name), visible(name)), seconds

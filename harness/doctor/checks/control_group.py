"""The limits of the control group: CPU time and memory."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.telemetry.cgroup import Cgroup
from harness.wording import format_bytes, format_seconds

_SMALL_BYTES = 4 << 30


def check_control_group(machine: Machine) -> Iterator[Finding]:
    group = Cgroup(proc=machine.proc)
    yield _cpu_quota(group)
    yield _memory_limit(group)


def _cpu_quota(group: Cgroup) -> Finding:
    version, quota, throttling = group.version_of("cpu"), group.cpu_quota(), group.throttling()
    if version is None:
        return Finding(
            subject="CPU quota",
            state="missing",
            seen="no control groups",
            meaning="if something outside limits the CPU time, no telemetry shows when it stops a trial",
            advice="mount the control groups (/sys/fs/cgroup)",
        )
    where = f"control groups of version {version}"
    if quota is None:
        return Finding(subject="CPU quota", state="ok", seen=f"{where}, no quota")
    if throttling is not None and throttling.throttled_periods:
        history = (
            f"; used up in {throttling.throttled_periods:,} of {throttling.periods:,} periods so far, "
            f"for {format_seconds(throttling.throttled_seconds)} (summed over cores)"
        )
    else:
        history = ""
    return Finding(
        subject="CPU quota",
        state="limited",
        seen=f"{where}, {quota:.3g} cores{history}",
        meaning="when the quota is used up, the kernel stops a trial in the middle of a unit; the round is "
        "void if other programs of the group used it up",
        advice="give the container cores instead of a quota (docker run --cpuset-cpus), or run nothing else "
        "in its group",
    )


def _memory_limit(group: Cgroup) -> Finding:
    version, limit, used = group.version_of("memory"), group.memory_limit_bytes(), group.memory_bytes()
    if version is None or used is None:
        return Finding(
            subject="memory of the group",
            state="missing",
            seen="no control group counts memory here",
            meaning="peaks of the group, and kills because memory ran out, are not recorded",
            advice="mount the control groups (/sys/fs/cgroup), with the controller for memory",
        )
    where = f"control groups of version {version}"
    kills = group.oom_kills()
    killed = f"; {kills:,} processes of the group were killed because memory ran out" if kills else ""
    if limit is None:
        return Finding(subject="memory of the group", state="ok", seen=f"{where}, no limit{killed}")
    return Finding(
        subject="memory of the group",
        state="limited" if limit < _SMALL_BYTES or kills else "ok",
        seen=f"{where}, limit {format_bytes(limit)}{killed}",
        meaning="the kernel kills a trial that needs more",
        advice=f"allow at least {format_bytes(_SMALL_BYTES)}, or choose a smaller scale of the study",
    )

from __future__ import annotations

from harness.doctor.checks.control_group import check_control_group
from tests.doctor.conftest import FakeMachine

QUOTA, MEMORY = "CPU quota", "memory of the group"
GIB = 1 << 30


def test_a_group_without_limits(fake: FakeMachine) -> None:
    fake.cgroup(cpu__max="max 100000", memory__max="max", memory__current="9")
    findings = fake.findings(check_control_group)
    assert (findings[QUOTA].state, findings[QUOTA].seen) == ("ok", "control groups of version 2, no quota")
    assert (findings[MEMORY].state, findings[MEMORY].seen) == ("ok", "control groups of version 2, no limit")


def test_a_quota_and_how_often_it_was_used_up(fake: FakeMachine) -> None:
    stat = "nr_periods 4000\nnr_throttled 1200\nthrottled_usec 2500000"
    fake.cgroup(cpu__max="250000 100000", cpu__stat=stat)
    finding = fake.findings(check_control_group)[QUOTA]
    assert finding.state == "limited"
    assert finding.seen == (
        "control groups of version 2, 2.5 cores; used up in 1,200 of 4,000 periods so far, for 2.5 s "
        "(summed over cores)"
    )
    fake.cgroup(cpu__stat="nr_periods 4000\nnr_throttled 0\nthrottled_usec 0")
    assert fake.findings(check_control_group)[QUOTA].seen == "control groups of version 2, 2.5 cores"


def test_a_memory_limit(fake: FakeMachine) -> None:
    fake.cgroup(memory__max=str(64 * GIB), memory__current="9", memory__events="oom_kill 0")
    finding = fake.findings(check_control_group)[MEMORY]
    assert (finding.state, finding.seen) == ("ok", "control groups of version 2, limit 64 GiB")
    fake.cgroup(memory__max=str(2 * GIB))
    assert fake.findings(check_control_group)[MEMORY].state == "limited"
    fake.cgroup(memory__max=str(64 * GIB), memory__events="oom_kill 3")
    finding = fake.findings(check_control_group)[MEMORY]
    assert finding.state == "limited"
    assert "3 processes of the group were killed because memory ran out" in finding.seen


def test_version_one(fake: FakeMachine) -> None:
    point = fake.root / "sys/fs/cgroup"
    fake.write("proc/self/cgroup", "4:memory:/\n1:cpu,cpuacct:/\n")
    fake.write(
        "proc/self/mountinfo",
        f"1 2 0:1 / {point}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        f"1 2 0:1 / {point}/memory rw - cgroup cgroup rw,memory\n",
    )
    fake.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    fake.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "9\n")
    findings = fake.findings(check_control_group)
    assert findings[QUOTA].seen == "control groups of version 1, no quota"
    assert findings[MEMORY].seen == "control groups of version 1, no limit"


def test_no_groups(fake: FakeMachine) -> None:
    assert {finding.state for finding in fake.findings(check_control_group).values()} == {"missing"}

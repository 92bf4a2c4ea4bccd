from __future__ import annotations

import pytest

from harness.doctor.checks.cores import check_cores
from tests.doctor.conftest import FakeMachine

SUBJECT, SMT = "usable cores", "hyperthreading"


@pytest.mark.parametrize(
    ("affinity", "quota", "seen", "meaning"),
    [
        (4, "max 100000", "4 cores by affinity, no CPU quota: 4 usable", "with 3 threads"),
        (16, "250 100", "16 cores by affinity, a CPU quota of 2.5: 2 usable", "with 1 thread,"),
    ],
)
def test_the_smaller_of_affinity_and_quota(
    fake: FakeMachine, affinity: int, quota: str, seen: str, meaning: str
) -> None:
    fake.cgroup(cpu__max=quota)
    finding = fake.findings(check_cores, affinity=affinity)[SUBJECT]
    assert (finding.state, finding.seen) == ("ok", seen)
    assert meaning in finding.meaning


@pytest.mark.parametrize(
    ("affinity", "quota"), [(1, "max 100000"), (16, "150000 100000"), (16, "50000 100000")]
)
def test_a_single_core_is_not_enough(fake: FakeMachine, affinity: int, quota: str) -> None:
    fake.cgroup(cpu__max=quota)
    finding = fake.findings(check_cores, affinity=affinity)[SUBJECT]
    assert finding.state == "limited"
    assert finding.seen.endswith(": 1 usable")


@pytest.mark.parametrize(("active", "state"), [("1", "limited"), ("0", "ok"), (None, "missing")])
def test_hyperthreading(fake: FakeMachine, active: str | None, state: str) -> None:
    if active is not None:
        fake.write("sys/devices/system/cpu/smt/active", f"{active}\n")
    assert fake.findings(check_cores)[SMT].state == state

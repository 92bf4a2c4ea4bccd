from __future__ import annotations

import pytest

from harness.doctor.checks.kernel_counters import check_kernel_counters
from tests.doctor.conftest import FakeMachine

PRESSURE, EVENTS = "pressure (PSI)", "performance events"


@pytest.mark.parametrize(("percent", "state"), [("0.00", "ok"), ("9.99", "ok"), ("35.70", "limited")])
def test_pressure(fake: FakeMachine, percent: str, state: str) -> None:
    for name, share in (("cpu", "0.00"), ("memory", percent), ("io", "0.00")):
        fake.write(f"proc/pressure/{name}", f"some avg10={share} avg60=0.00 avg300=0.00 total=0\n")
    finding = fake.findings(check_kernel_counters)[PRESSURE]
    assert finding.state == state
    assert f"0% processor, {float(percent):.0f}% memory, 0% disk" in finding.seen


def test_no_pressure(fake: FakeMachine) -> None:
    assert fake.findings(check_kernel_counters)[PRESSURE].state == "missing"


@pytest.mark.parametrize(("level", "state"), [("-1", "ok"), ("2", "ok"), ("4", "limited"), ("", "missing")])
def test_performance_events(fake: FakeMachine, level: str, state: str) -> None:
    fake.write("proc/sys/kernel/perf_event_paranoid", f"{level}\n")
    assert fake.findings(check_kernel_counters)[EVENTS].state == state

from __future__ import annotations

import pytest

from harness.doctor.checks.clocks import check_clocks
from tests.doctor.conftest import FakeMachine

SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"


@pytest.mark.parametrize(
    ("source", "state"), [("tsc", "ok"), ("kvm-clock", "ok"), ("hpet", "limited"), ("acpi_pm", "limited")]
)
def test_the_clock_source(fake: FakeMachine, source: str, state: str) -> None:
    fake.write(SOURCE, f"{source}\n")
    finding = fake.findings(check_clocks)["clock source"]
    assert (finding.state, finding.seen) == (state, source)


@pytest.mark.parametrize(("synchronised", "state"), [(True, "ok"), (False, "limited"), (None, "missing")])
def test_the_wall_clock(fake: FakeMachine, *, synchronised: bool | None, state: str) -> None:
    finding = fake.findings(check_clocks, synchronised=lambda: synchronised)["wall clock"]
    assert finding.state == state

from __future__ import annotations

from harness.doctor.checks.cpu_energy import check_cpu_energy
from tests.doctor.conftest import FakeMachine

ZONE = "sys/class/powercap/intel-rapl:0"


def test_a_counter_that_can_be_read(fake: FakeMachine) -> None:
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "9000"), ("energy_uj", "17")):
        fake.write(f"{ZONE}/{name}", f"{text}\n")
    assert fake.only(check_cpu_energy).state == "ok"


def test_no_counter(fake: FakeMachine) -> None:
    finding = fake.only(check_cpu_energy)
    assert finding.state == "missing"
    assert "no energy counter" in finding.seen

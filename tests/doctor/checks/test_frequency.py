from __future__ import annotations

import pytest

from harness.doctor.checks.frequency import check_frequency
from tests.doctor.conftest import FakeMachine

CPUS = "sys/devices/system/cpu"


def with_governors(fake: FakeMachine, *governors: str) -> None:
    for cpu, governor in enumerate(governors):
        fake.write(f"{CPUS}/cpu{cpu}/cpufreq/scaling_governor", f"{governor}\n")
    fake.write(f"{CPUS}/cpu0/cpufreq/scaling_driver", "acpi-cpufreq\n")
    fake.write(f"{CPUS}/cpu0/cpufreq/scaling_max_freq", "3000000\n")


def test_a_fixed_frequency(fake: FakeMachine) -> None:
    with_governors(fake, "performance", "performance")
    finding = fake.findings(check_frequency)["frequency"]
    assert (finding.state, finding.seen) == (
        "ok",
        "governor performance (acpi-cpufreq); this user may set it",
    )


@pytest.mark.parametrize("governors", [("powersave", "powersave"), ("performance", "schedutil")])
def test_a_frequency_that_follows_the_load(fake: FakeMachine, governors: tuple[str, ...]) -> None:
    """One core is enough."""
    with_governors(fake, *governors)
    finding = fake.findings(check_frequency)["frequency"]
    assert finding.state == "limited"
    assert ", ".join(sorted(set(governors))) in finding.seen


@pytest.mark.parametrize(
    ("file", "value", "state"),
    [
        ("intel_pstate/no_turbo", "1", "ok"),
        ("intel_pstate/no_turbo", "0", "limited"),
        ("cpufreq/boost", "0", "ok"),
        ("cpufreq/boost", "1", "limited"),
        ("other", "1", "missing"),
    ],
)
def test_turbo(fake: FakeMachine, file: str, value: str, state: str) -> None:
    fake.write(f"{CPUS}/{file}", f"{value}\n")
    finding = fake.findings(check_frequency)["turbo"]
    assert finding.state == state
    if state == "limited":
        off = {"0": "1", "1": "0"}[value]
        assert finding.advice == f"echo {off} > /{CPUS}/{file} (root)"


def test_a_virtual_machine_shows_no_frequency(fake: FakeMachine) -> None:
    assert fake.findings(check_frequency)["frequency"].state == "missing"

from __future__ import annotations

import pytest

from harness.doctor.checks.memory import check_memory
from tests.doctor.conftest import FakeMachine

MIB = 1024  # in the unit of the file, KiB


def meminfo(fake: FakeMachine, *, available: int, swap_free: int) -> None:
    lines = {"MemTotal": 8192 * MIB, "MemAvailable": available * MIB, "SwapTotal": 1024 * MIB}
    lines["SwapFree"] = swap_free * MIB
    fake.write(
        "proc/meminfo", "".join(f"{name}:  {value} kB\n" for name, value in lines.items()) + "Huge: 0\n"
    )


@pytest.mark.parametrize(("available", "state"), [(4096, "ok"), (2048, "ok"), (2047, "limited")])
def test_memory_that_is_available(fake: FakeMachine, available: int, state: str) -> None:
    meminfo(fake, available=available, swap_free=1024)
    finding = fake.only(check_memory)
    assert finding.state == state
    assert "of 8 GiB available" in finding.seen


def test_swap_in_use(fake: FakeMachine) -> None:
    meminfo(fake, available=4096, swap_free=512)
    swap = fake.findings(check_memory)["swap"]
    assert (swap.state, swap.seen) == ("limited", "512 MiB in use")

"""Suspends and jumps, by clocks that a test sets, and the clocks of this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest

from harness.telemetry.host_clocks import Clocks, ClockWatch, read_clocks

DAYS = 86_400.0


def looks(clocks: Iterable[Clocks | None]) -> list[tuple[float | None, float | None]]:
    """What a watch says after each of the clocks but the first, with which it begins."""
    rest = list(clocks)
    reader = iter(rest)
    watch = ClockWatch(lambda: next(reader))
    return [watch.look() for _ in rest[1:]]


def clocks(*, running: float, suspended: float = 0.0, moved: float = 0.0) -> Clocks:
    """After a machine ran and was suspended for some seconds, and the wall clock was moved."""
    boot = 1000 + running + suspended
    return Clocks(monotonic=500 + running, since_boot=boot, wall=1.8e9 + boot + moved)


def test_time_that_passes_is_neither() -> None:
    assert looks(clocks(running=t / 10) for t in range(4)) == [(0.0, 0.0)] * 3


def test_a_suspend_is_not_a_jump() -> None:
    slept = [clocks(running=0), clocks(running=1, suspended=3600), clocks(running=2, suspended=3600)]
    assert [suspended for suspended, _ in looks(slept)] == pytest.approx([3600, 3600])
    assert [jumped for _, jumped in looks(slept)] == [0.0, 0.0]


@pytest.mark.parametrize("jump", [10 * DAYS, -10 * DAYS, 0.5])
def test_a_jump_is_not_a_suspend(jump: float) -> None:
    moved = [clocks(running=0), *(clocks(running=t, moved=jump * (t >= 2)) for t in (1, 2, 3))]
    assert [suspended for suspended, _ in looks(moved)] == [0.0, 0.0, 0.0]
    assert [jumped for _, jumped in looks(moved)] == pytest.approx([0.0, jump, jump])


def test_jumps_add_up() -> None:
    back = [clocks(running=0), clocks(running=1, moved=5), clocks(running=2, moved=-5), clocks(running=3)]
    assert [jumped for _, jumped in looks(back)] == pytest.approx([5, -5, 0])


def test_a_slow_correction_is_no_jump() -> None:
    """However much it adds up to: 500 parts per million, for a day, in samples that come every 0.1 s."""
    slewed = [clocks(running=t / 10, moved=t / 10 * 500e-6) for t in range(0, 864_000, 100)]
    assert {jumped for _, jumped in looks(slewed)} == {0.0}


def test_jitter_of_reading_is_neither() -> None:
    late = Clocks(monotonic=500.997, since_boot=1001.0, wall=1.8e9 + 1000.995 + 0.004)
    assert looks([clocks(running=0), late]) == [(0.0, 0.0)]


def test_clocks_that_cannot_be_read_are_unknown() -> None:
    assert looks([None, None]) == [(None, None)]
    assert looks([clocks(running=0), None, clocks(running=1)]) == [(None, None), (0.0, 0.0)]


def test_this_machine() -> None:
    if sys.platform != "linux":
        pytest.skip("the clock since boot is Linux's")
    first, second = read_clocks(), read_clocks()
    assert first is not None
    assert second is not None
    assert first.since_boot >= first.monotonic - 0.001
    assert second.since_boot >= first.since_boot
    assert ClockWatch().look() == (0.0, 0.0)

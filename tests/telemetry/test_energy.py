"""The energy of a span, where the power of the device is known, and where its counter cannot be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.telemetry.energy import BY_COUNTER, BY_POWER, BY_RAPL, Energy, cpu_energy, gpu_energy
from harness.telemetry.process_sampler import TelemetrySample
from tests.support.telemetry import samples_at

TENTHS = tuple(number / 10 for number in range(101))


def counted(
    joules: Callable[[float], float | None], times: list[float] | None = None
) -> list[TelemetrySample]:
    return samples_at(times or TENTHS, gpu_energy_j=joules)


def about(joules: float, source: str) -> Energy:
    approximately: Any = pytest.approx(joules)
    return Energy(approximately, source)


def test_the_energy_of_a_device_of_constant_power() -> None:
    samples = samples_at(TENTHS, gpu_energy_j=lambda t: 250 * t, cpu_energy_j=lambda t: 60 * t)
    for begin, end in ((0.0, 10.0), (2.0, 4.0), (2.03, 4.48)):
        assert gpu_energy(samples, begin, end) == about(250 * (end - begin), BY_COUNTER)
        assert cpu_energy(samples, begin, end) == about(60 * (end - begin), BY_RAPL)


def test_work_that_ends_after_the_last_sample() -> None:
    """The last sample may be up to 0.1 s before the end of the process."""
    assert gpu_energy(counted(lambda t: 250 * t), 8.0, 10.08).joules == pytest.approx(520)
    assert gpu_energy(counted(lambda t: 250 * t), 8.0, 10.5).joules is None


def test_the_phases_of_a_trial_are_told_apart() -> None:
    """100 W while a model is loaded for 5 seconds, then 300 W."""
    samples = counted(lambda t: 100 * min(t, 5.0) + 300 * max(t - 5.0, 0.0))
    assert gpu_energy(samples, 6.0, 9.0).joules == pytest.approx(900)
    assert gpu_energy(samples, 0.0, 10.0).joules == pytest.approx(2000)


def test_power_is_integrated_only_where_there_is_no_counter() -> None:
    rising = samples_at(TENTHS, gpu_power_w=lambda t: 100 + 10 * t)
    assert gpu_energy(rising, 1.0, 9.0) == about(800 + 5 * 80, BY_POWER)
    both = samples_at(TENTHS, gpu_power_w=lambda _: 100.0, gpu_energy_j=lambda t: 90 * t)
    assert gpu_energy(both, 1.0, 9.0) == about(720, BY_COUNTER)


def test_power_that_was_not_read_for_a_time() -> None:
    gap = [time for time in TENTHS if not 4.0 < time < 4.8]
    samples = samples_at(gap, gpu_power_w=lambda _: 100.0)
    assert gpu_energy(samples, 1.0, 9.0).source == "the power of the GPU was not read for more than 0.5 s"
    assert gpu_energy(samples, 4.8, 10.0).joules == pytest.approx(520)


def test_a_pause_of_the_samples_is_no_edge_of_the_work() -> None:
    """A counter counts on in the pause, so it costs nothing in the middle of the work."""
    samples = counted(lambda t: 250 * t, [time for time in TENTHS if not 4.0 < time < 4.8])
    assert gpu_energy(samples, 2.0, 6.0).joules == pytest.approx(1000)
    why = "there is no sample near the beginning or the end of the work"
    assert gpu_energy(samples, 2.0, 4.4) == Energy(None, why)


@pytest.mark.parametrize(("least", "field"), [(1, "gpu_energy_j"), (5, "gpu_power_w")])
def test_short_work_has_no_energy(least: int, field: str) -> None:
    samples = samples_at(TENTHS, **{field: lambda t: 100 * t + 1})
    assert gpu_energy(samples, 2.0, 2.0 + least).joules is not None
    short = gpu_energy(samples, 2.0, 1.9 + least)
    assert short == Energy(
        None, f"it took less than {least} s, the shortest time over which energy is measured"
    )


def test_a_counter_that_was_reset_gives_no_energy() -> None:
    """Telemetry has None from the reset on. The samples before it do not stand for the trial."""
    samples = counted(lambda t: 250 * t if t < 6 else None)
    assert gpu_energy(samples, 0.0, 10.0, "the counter was reset") == Energy(None, "the counter was reset")
    assert gpu_energy(samples, 0.0, 10.0) == Energy(None, "some samples have no energy")
    halved = samples_at(TENTHS, cpu_energy_j=lambda t: t if t > 6 else None)
    assert cpu_energy(halved, 0.0, 10.0) == Energy(None, "some samples have no energy")


def test_a_counter_that_stands_still_is_not_an_energy_of_zero() -> None:
    samples = samples_at(TENTHS, gpu_energy_j=lambda _: 7.0, cpu_energy_j=lambda _: 0.0)
    assert gpu_energy(samples, 0.0, 10.0) == Energy(None, "the energy counter did not move")
    assert cpu_energy(samples, 0.0, 10.0) == Energy(None, "the energy counter did not move")


def test_what_cannot_be_read_has_its_reason() -> None:
    samples = samples_at(TENTHS)
    assert gpu_energy(samples, 0.0, 10.0, "no driver") == Energy(None, "no driver")
    assert gpu_energy(samples, 0.0, 10.0) == Energy(None, "the GPU shows no energy and no power")
    assert cpu_energy(samples, 0.0, 10.0, "only root may read it") == Energy(None, "only root may read it")
    one = counted(lambda _: 1.0, [0.0])
    assert gpu_energy(one, 0.0, 2.0) == Energy(None, "there is only one sample")

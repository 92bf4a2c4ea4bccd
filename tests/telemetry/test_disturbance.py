"""What disturbs a trial from outside: by the cores that others use, whatever the trial itself does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.telemetry.disturbance import disturbance
from tests.end_to_end.in_process import host_sample


@pytest.mark.parametrize(
    ("cores", "threads", "busy", "disturbed"),
    [
        (2, 1, 1.0, False),  # another program on the core that is free
        (2, 1, 1.2, False),
        (2, 1, 1.33, True),  # two other programs and one thread share two cores
        (2, 2, 0.4, False),
        (2, 2, 0.67, True),  # another program and two threads share two cores
        (1, 1, 0.5, True),
        (64, 8, 50.0, False),  # other containers on other cores
        (64, 8, 58.0, True),
    ],
)
def test_the_cores_that_other_programs_take_from_a_trial(
    cores: int, threads: int, busy: float, *, disturbed: bool
) -> None:
    samples = [host_sample(None), *[host_sample(100 * busy)] * 4]
    assert bool(disturbance(samples, threads=threads, host_cores=cores)) is disturbed


def test_the_mean_over_the_trial_counts() -> None:
    quiet, burst = host_sample(0.0), host_sample(200.0)
    assert not disturbance([*[quiet] * 9, burst], threads=1, host_cores=2)
    assert disturbance([quiet, *[burst] * 9], threads=1, host_cores=2) == (
        "other programs kept 1.8 of 2 cores busy"
    )


def test_what_a_trial_does_itself_is_no_disturbance() -> None:
    hot = replace(host_sample(0.0), cpu_percent=1600.0, gpu_throttling=("hardware thermal", "power cap"))
    assert not disturbance([hot], threads=1, host_cores=2)
    assert not disturbance([], threads=1, host_cores=2)
    assert not disturbance([host_sample(None)], threads=1, host_cores=1)


def test_a_power_brake_comes_from_outside() -> None:
    braked = replace(host_sample(0.0), gpu_throttling=("power brake",))
    assert "power supply" in disturbance([host_sample(0.0), braked], threads=1, host_cores=2)

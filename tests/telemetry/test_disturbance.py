"""What disturbs a trial from outside, and what is a trial's own result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psutil
import pytest

from harness.telemetry.disturbance import LONGEST_GAP_S, Host, disturbance
from harness.telemetry.gpu_watch import GpuWatch
from harness.telemetry.process_sampler import TelemetrySample, _ProcessLook
from tests.end_to_end.in_process import host_sample
from tests.support.real_cgroup import quota_group

TWO_CORES = Host(cores=2, threads=1)


def trial(cpu_percent: Sequence[float], *, seconds: Sequence[float] = ()) -> list[TelemetrySample]:
    """Samples of a trial on a quiet machine, 0.1 s apart unless `seconds` says how long each took to come."""
    samples, t, used = [replace(host_sample(None), cpu_percent=None, cpu_seconds=0.0)], 0.0, 0.0
    for percent, span in zip(cpu_percent, seconds or [0.1] * len(cpu_percent), strict=True):
        t, used = t + span, used + span * percent / 100
        samples.append(replace(host_sample(0.0), t_seconds=t, cpu_percent=percent, cpu_seconds=used))
    return samples


def beside(others: Sequence[float]) -> list[TelemetrySample]:
    """Samples of a trial while other programs kept some cores busy."""
    samples = trial([100.0] * len(others))
    busy = [replace(one, other_cpu_percent=100 * o) for one, o in zip(samples[1:], others, strict=True)]
    return [samples[0], *busy]


def with_states(states: Sequence[str]) -> list[TelemetrySample]:
    looks = zip(trial([100.0] * (len(states) - 1)), states, strict=True)
    return [replace(sample, state=state) for sample, state in looks]


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
    assert bool(disturbance(beside([busy] * 4), Host(cores=cores, threads=threads))) is disturbed


def test_the_mean_over_the_trial_counts() -> None:
    assert not disturbance(beside([*[0.0] * 9, 2.0]), TWO_CORES)
    assert disturbance(beside([0.0, *[2.0] * 9]), TWO_CORES) == "other programs kept 1.8 of 2 cores busy"
    late = trial([100.0] * 3, seconds=[0.1, 0.1, 0.4])  # the last sample is about most of the time
    late[-1] = replace(late[-1], other_cpu_percent=200.0)
    assert disturbance(late, TWO_CORES) == "other programs kept 1.3 of 2 cores busy"


def test_what_a_trial_does_itself_is_no_disturbance() -> None:
    hot = replace(host_sample(0.0), cpu_percent=1600.0, gpu_throttling=("hardware thermal", "power cap"))
    assert not disturbance([*trial([1600.0]), replace(hot, t_seconds=0.2)], TWO_CORES)
    assert not disturbance([], TWO_CORES)
    assert not disturbance([host_sample(None)], Host(cores=1, threads=1))


def test_a_power_brake_comes_from_outside() -> None:
    braked = replace(host_sample(0.0), gpu_throttling=("power brake",))
    assert "power supply" in disturbance([host_sample(0.0), braked], TWO_CORES)


def test_all_causes_are_named() -> None:
    samples = beside([2.0, 2.0])
    samples[1] = replace(samples[1], gpu_throttling=("power brake",))
    assert disturbance(samples, TWO_CORES) == (
        "other programs kept 2.0 of 2 cores busy; the power supply of the GPU asked for a lower clock"
    )


@pytest.mark.parametrize("word", ["stopped", "tracing-stop"])
def test_a_stop_that_a_sample_shows(word: str) -> None:
    once = with_states(["running", word, word, "running", "running"])
    assert disturbance(once, TWO_CORES) == "a signal or a debugger stopped the trial for 200 ms"
    short = with_states(["running", word, "sleeping", word, "running"])
    assert disturbance(short, TWO_CORES) == "a signal or a debugger stopped the trial for 200 ms in 2 stops"
    at_its_end = with_states(["running", "running", word])
    assert disturbance(at_its_end, TWO_CORES) == "a signal or a debugger stopped the trial for 0 µs"


def test_a_trial_that_sleeps_or_waits_for_its_disk_is_its_own_result() -> None:
    assert not disturbance(with_states(["running", *["sleeping"] * 50, *["disk-sleep"] * 50]), TWO_CORES)
    assert not disturbance(trial([0.0] * 50), TWO_CORES)
    assert not disturbance(trial([100.0, 0.0, 0.0] * 10), TWO_CORES)


def unwatched(usual: float, during: float, *, seconds: float) -> str:
    """A pause of the samples in the middle of a trial that uses `usual` of a core in percent."""
    spans = [*[0.1] * 10, seconds, *[0.1] * 10]
    return disturbance(trial([*[usual] * 10, during, *[usual] * 10], seconds=spans), TWO_CORES)


@pytest.mark.parametrize("usual", [100.0, 60.0, 1600.0])
def test_a_trial_that_stood_still_while_nobody_watched(usual: float) -> None:
    assert unwatched(usual, 3.0, seconds=1.5) == (
        "the driver was stopped or got no core for 1.5 s, and the trial used only 45 ms of CPU time meanwhile"
    )


def test_a_trial_that_went_on_while_the_driver_was_stopped() -> None:
    assert not unwatched(100.0, 98.0, seconds=60.0)
    assert not unwatched(60.0, 55.0, seconds=1.5)
    assert not unwatched(1600.0, 90.0, seconds=1.5)  # it loads, with one thread, what sixteen compute with
    assert unwatched(100.0, 60.0, seconds=1.5)  # for more than half a second it may have stood still


def test_a_trial_that_sleeps_all_the_time_cannot_stand_still() -> None:
    assert not unwatched(0.0, 0.0, seconds=60.0)
    assert not unwatched(1.0, 0.0, seconds=1.5)


def test_a_trial_that_nobody_watched_from_its_first_sample_on() -> None:
    assert disturbance(trial([2.0], seconds=[5.0]), TWO_CORES)
    assert not disturbance(trial([97.0], seconds=[5.0]), TWO_CORES)


def test_late_samples_alone_are_no_disturbance() -> None:
    """As they come on a machine with many processes."""
    assert LONGEST_GAP_S == 0.5
    assert not disturbance(trial([100.0, 0.0] * 10, seconds=[0.1, 0.4] * 10), TWO_CORES)


def test_a_suspend_disturbs_and_a_jump_of_the_wall_clock_does_not() -> None:
    samples = trial([100.0] * 5)
    jumped = [replace(sample, clock_jump_seconds=-864_000.0, suspended_seconds=0.0) for sample in samples]
    assert not disturbance(jumped, TWO_CORES)
    suspended = [*samples[:3], *(replace(sample, suspended_seconds=3600.0) for sample in samples[3:])]
    assert disturbance(suspended, TWO_CORES) == "the machine was suspended for 3,600 s"


def throttled(*, quota: float, used: float, others: float, stopped: float, threads: int = 1) -> str:
    """A trial of 10 s that uses so many cores, in a group that is stopped for a share of the time."""
    samples = [replace(one, other_cpu_percent=100 * others) for one in trial([100 * used] * 100)]
    demand = quota / (1 - stopped)
    samples[-1] = replace(samples[-1], throttled_periods=30, throttled_seconds=stopped * demand * 10)
    return disturbance(samples, Host(cores=64, threads=threads, cpu_quota=quota))


def test_other_programs_that_use_up_the_quota() -> None:
    assert throttled(quota=2.0, used=0.5, others=1.5, stopped=0.5) == (
        "the CPU quota of 2 cores stopped the trial for 50% of its time, in 30 periods, "
        "while other programs used 1.5 cores"
    )
    assert throttled(quota=1.0, used=0.5, others=0.5, stopped=0.5)
    assert throttled(quota=8.0, used=5.0, others=3.0, stopped=0.06, threads=7)
    assert not throttled(quota=2.0, used=0.99, others=1.0, stopped=0.04)


def test_a_trial_that_uses_up_the_quota_itself_is_its_own_result() -> None:
    assert not throttled(quota=0.5, used=0.48, others=0.02, stopped=0.5)
    assert not throttled(quota=0.5, used=0.48, others=30.0, stopped=0.5)  # in other groups
    assert not throttled(quota=4.0, used=3.9, others=0.1, stopped=0.7, threads=3)
    assert not throttled(quota=4.0, used=1.0, others=0.1, stopped=0.1, threads=3)  # bursts of its own threads


BUSY = "print('ready', flush=True)\nwhile True: pass"
SLEEPY = "import time; print('ready', flush=True)\nwhile True: time.sleep(0.05)"


@contextmanager
def process(program: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has printed a line."""
    child = subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


class Watch:
    """Samples of a process as they come, a few at a time."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._look = _ProcessLook(child.pid, GpuWatch(None, ()))
        self.samples: list[TelemetrySample] = []

    def until(self, seen: Callable[[TelemetrySample], bool]) -> None:
        """The sample must come within 60 s."""
        while not self.samples or not seen(self.samples[-1]):
            assert not self.samples or self.samples[-1].t_seconds < 60
            self.samples.append(self._look.sample())

    def some(self, number: int) -> None:
        self.samples += [self._look.sample() for _ in range(number)]

    def alone(self) -> list[TelemetrySample]:
        """The samples as on a machine without other programs."""
        return [replace(sample, other_cpu_percent=0.0) for sample in self.samples]


def test_nine_stops_of_a_real_process() -> None:
    with process(BUSY) as child:
        watch = Watch(child)
        for _ in range(9):
            child.send_signal(signal.SIGSTOP)
            watch.until(lambda sample: sample.state == "stopped")
            child.send_signal(signal.SIGCONT)
            watch.until(lambda sample: sample.state != "stopped")
    assert disturbance(watch.alone(), TWO_CORES).endswith("in 9 stops")


def test_a_real_process_that_sleeps_is_not_disturbed() -> None:
    with process(SLEEPY) as child:
        watch = Watch(child)
        watch.until(lambda sample: sample.state == "sleeping")
        watch.some(20)
    assert not disturbance(watch.alone(), TWO_CORES)


def test_a_pause_of_the_driver_together_with_its_trial() -> None:
    """As by Ctrl-Z: nobody saw the trial stand still."""
    with process(BUSY) as child:
        watch = Watch(child)
        watch.until(lambda sample: (sample.cpu_seconds or 0.0) >= 0.3)
        child.send_signal(signal.SIGSTOP)
        while psutil.Process(child.pid).status() != "stopped":
            pass
        threading.Event().wait(LONGEST_GAP_S + 0.2)  # the time that passes is what the test is about
        child.send_signal(signal.SIGCONT)
        while psutil.Process(child.pid).status() == "stopped":
            pass
        watch.some(1)
    assert "the driver was stopped or got no core" in disturbance(watch.alone(), TWO_CORES)


def test_a_real_quota_that_other_programs_use_up() -> None:
    with ExitStack() as running:
        group = running.enter_context(quota_group(0.2))
        child, *others = (running.enter_context(process(BUSY)) for _ in range(4))
        for busy in (child, *others):
            (group / "cgroup.procs").write_text(str(busy.pid))
        watch = Watch(child)
        watch.until(lambda sample: (sample.throttled_seconds or 0.0) >= 1.0)
    host = Host(cores=os.cpu_count() or 1, threads=1, cpu_quota=0.2)
    assert "the CPU quota of 0.2 cores stopped the trial" in disturbance(watch.samples, host)

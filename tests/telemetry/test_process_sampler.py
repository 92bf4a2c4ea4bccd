"""The sampler against processes whose memory, threads, CPU and end are known."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from harness.telemetry.cgroup import Cgroup
from harness.telemetry.gpu_watch import GpuWatch
from harness.telemetry.host_clocks import ClockWatch
from harness.telemetry.process_sampler import (
    ProcessSampler,
    TelemetrySample,
    _ProcessLook,
    _usage,
    host_cpu_seconds,
)
from tests.support.real_cgroup import quota_group

FAST = 0.02


@contextmanager
def process(program: str) -> Iterator[subprocess.Popen[str]]:
    """A child that has printed a line when it is ready, and ends when its standard input is closed."""
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"


def test_resident_memory_and_threads_of_the_process() -> None:
    program = (
        "import sys, threading; block = b'x' * (64 << 20);"
        "[threading.Thread(target=sys.stdin.read, daemon=True).start() for _ in range(3)];"
        "print('ready', flush=True); threading.Event().wait()"
    )
    with process(program) as child:
        ready(child)
        sampler = ProcessSampler()
        sampler.start(child.pid)
        (first, *_) = sampler.stop()
    assert 64 << 20 < first.rss_bytes < 192 << 20
    assert first.threads == 4
    assert first.cpu_percent is None
    assert (first.gpu_memory_bytes, first.gpu_utilisation) == (None, None)
    assert sampler.nvml_reason == "NVML is not used"


def test_a_process_of_a_moment_has_a_sample() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    sampler = ProcessSampler()
    sampler.start(child.pid)
    child.wait()
    samples = sampler.stop()
    assert len(samples) >= 1
    assert samples[0].rss_bytes > 0


def test_a_busy_process_uses_one_core_and_its_end_ends_the_sampling() -> None:
    program = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    sampler = ProcessSampler(interval_s=FAST)
    child = subprocess.Popen([sys.executable, "-c", program])
    sampler.start(child.pid)
    watching = sampler._thread
    assert watching is not None
    watching.join(timeout=20)  # nobody asked it to stop, and the zombie has not been waited for
    assert not watching.is_alive()
    child.wait()
    samples = sampler.stop()
    times = [sample.t_seconds for sample in samples]
    assert times == sorted(times)
    busy = [sample.cpu_percent for sample in samples if sample.cpu_percent is not None]
    spans = [after - before for before, after in pairwise(times)]
    cpu_seconds = sum(percent / 100 * span for percent, span in zip(busy, spans, strict=True))
    assert 0.1 < cpu_seconds < 0.5  # what it used after the last sample is not seen


def test_children_are_counted_with_their_parent() -> None:
    program = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c',"
        "\"block = b'x' * (64 << 20); print('ready', flush=True); input()\"],"
        "stdin=subprocess.PIPE); child.wait()"
    )
    with process(program) as parent:
        ready(parent)
        sampler = ProcessSampler()
        sampler.start(parent.pid)
        (first, *_) = sampler.stop()
        alone = psutil.Process(parent.pid).memory_info().rss
    assert first.rss_bytes > alone + (64 << 20)
    assert first.threads == 2


def test_the_time_of_children_that_have_ended_is_kept() -> None:
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c',"
        "'import time\\nwhile time.process_time() < 0.3: pass']); print('ready', flush=True); input()"
    )
    with process(program) as parent:
        ready(parent)
        usage = _usage(psutil.Process(parent.pid))
    assert usage.cpu_seconds >= 0.28  # ticks of 10 ms


def watched(child: subprocess.Popen[str], until: Callable[[TelemetrySample], bool]) -> list[TelemetrySample]:
    """The samples of a process, up to the first for which `until` holds, which must come within 60 s."""
    look = _ProcessLook(child.pid, GpuWatch(None, ()))
    samples = [look.sample()]
    while not until(samples[-1]):
        assert child.poll() is None
        assert samples[-1].t_seconds < 60
        samples.append(look.sample())
    return samples


def test_a_process_that_is_stopped_says_so_until_it_goes_on() -> None:
    with process("print('ready', flush=True); input(); print('ready', flush=True); input()") as child:
        ready(child)
        child.send_signal(signal.SIGSTOP)
        watched(child, lambda sample: sample.state == "stopped")
        child.send_signal(signal.SIGCONT)
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        ready(child)
        assert watched(child, lambda sample: sample.state == "sleeping")


def test_a_stopped_descendant_stops_its_trial() -> None:
    program = (
        "import os, signal, subprocess; child = subprocess.Popen(['cat'])\n"
        "os.kill(child.pid, signal.SIGSTOP); print('ready', flush=True); os.wait()"
    )
    with process(program) as parent:
        ready(parent)
        assert watched(parent, lambda sample: sample.state == "stopped")
        for child in psutil.Process(parent.pid).children():
            child.kill()


def test_cpu_time_adds_up_and_never_falls() -> None:
    """Also if a child has ended and its parent, which does not wait for it, never gets its time."""
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "print('ready', flush=True); input()\n"
        "if not os.fork():\n"
        "    while time.process_time() < 0.2: pass\n"
        "    os._exit(0)\n"
        "try: os.wait()\n"
        "except ChildProcessError: print('ready', flush=True); input()"
    )
    with process(program) as parent:
        ready(parent)
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write("\n")
        parent.stdin.flush()
        look = _ProcessLook(parent.pid, GpuWatch(None, ()))
        samples: list[TelemetrySample] = []
        while select.select([parent.stdout], [], [], 0.01) == ([], [], []):
            look._slow_due = 0.0  # a child is looked for each time
            samples.append(look.sample())
        samples.append(look.sample())
    seconds = [sample.cpu_seconds for sample in samples if sample.cpu_seconds is not None]
    assert len(seconds) == len(samples)
    assert seconds == sorted(seconds)
    assert seconds[-1] >= 0.1


def test_the_peak_stays_after_memory_was_freed_and_a_new_peak_begun() -> None:
    program = (
        "block = b'x' * (96 << 20); print('ready', flush=True); input(); del block\n"
        "from pathlib import Path; Path('/proc/self/clear_refs').write_text('5')\n"
        "print('ready', flush=True); input()"
    )
    with process(program) as child:
        ready(child)
        look = _ProcessLook(child.pid, GpuWatch(None, ()))
        before = look.sample()
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        ready(child)
        after = look.sample()
    assert after.rss_bytes < 96 << 20
    assert before.peak_rss_bytes is not None
    assert after.peak_rss_bytes == before.peak_rss_bytes > 96 << 20


def test_a_busy_process_that_shares_its_cores_is_switched_involuntarily() -> None:
    """Two loops on one core, which the kernel must take from each in turn."""
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "if not os.fork():\n"
        "    parent = os.getppid()\n"
        "    while os.getppid() == parent: pass\n"
        "    os._exit(0)\n"
        "while True: pass"
    )
    if sys.platform != "linux":
        pytest.skip("affinity is Linux's")
    with process(program) as busy:
        first, *_, last = watched(busy, lambda sample: (sample.involuntary_switches or 0) >= 3)
    assert first.involuntary_switches == 0
    assert last.involuntary_switches is not None


def test_throttling_by_a_quota_is_counted_from_the_first_sample_on() -> None:
    with quota_group(0.1) as group, process("print('ready', flush=True); input()\nwhile True: pass") as child:
        ready(child)
        (group / "cgroup.procs").write_text(str(child.pid))
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        early = watched(child, lambda sample: (sample.throttled_seconds or 0.0) > 0.0)
        late = watched(child, lambda sample: (sample.throttled_seconds or 0.0) > 0.0)
        total = Cgroup(child.pid).throttling()
        child.kill()
        child.wait()
    assert total is not None
    assert early[0].throttled_periods == late[0].throttled_periods == 0
    assert total.throttled_periods > (late[-1].throttled_periods or 0) >= 1
    assert total.throttled_seconds > (late[-1].throttled_seconds or 0.0) > 0.0


def test_a_machine_that_neither_slept_nor_was_set() -> None:
    look = _ProcessLook(os.getpid(), GpuWatch(None, ()))
    sample = look.sample()
    if sys.platform != "linux":
        pytest.skip("the clock since boot is Linux's")
    assert (sample.suspended_seconds, sample.clock_jump_seconds) == (0.0, 0.0)


def test_what_cannot_be_read_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No control groups, no clock since boot, and no peak in the process file system."""
    module = "harness.telemetry.process_sampler"
    monkeypatch.setattr(f"{module}.Cgroup", lambda pid: Cgroup(pid, proc=tmp_path))
    monkeypatch.setattr(f"{module}.ClockWatch", lambda: ClockWatch(lambda: None))
    monkeypatch.setattr(f"{module}.peak_rss_bytes", lambda _: None)
    sample = _ProcessLook(os.getpid(), GpuWatch(None, ())).sample()
    assert (sample.throttled_periods, sample.throttled_seconds, sample.cgroup_peak_bytes) == (None,) * 3
    assert (sample.suspended_seconds, sample.clock_jump_seconds, sample.peak_rss_bytes) == (None,) * 3


@pytest.mark.parametrize(
    "error", [psutil.AccessDenied(1), OSError(24, "Too many open files"), ValueError("?")]
)
def test_a_sample_that_fails_does_not_end_the_sampling(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    taken = threading.Semaphore(0)
    sample, failing = _ProcessLook.sample, [error, error, None]  # the first sample is taken by `start`

    def sometimes(look: _ProcessLook) -> TelemetrySample:
        taken.release()
        fault = failing.pop() if failing else None
        if fault is not None:
            raise fault
        return sample(look)

    monkeypatch.setattr(_ProcessLook, "sample", sometimes)
    sampler = ProcessSampler(interval_s=FAST)
    sampler.start(os.getpid())
    for _ in range(5):
        assert taken.acquire(timeout=20)
    assert len(sampler.stop()) >= 2
    assert not failing


def test_a_process_that_has_gone_leaves_no_samples() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    sampler = ProcessSampler()
    sampler.start(child.pid)
    assert sampler.stop() == []


def test_a_pid_that_belongs_to_another_ends_the_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    with process("print('ready', flush=True); input()") as child:
        ready(child)
        sampler = ProcessSampler(interval_s=FAST)
        sampler.start(child.pid)
        monkeypatch.setattr(psutil.Process, "_get_ident", lambda self: (self.pid, "born later"))
        seen = len(sampler._samples)
        watching = sampler._thread
        assert watching is not None
        watching.join(timeout=20)
        assert not watching.is_alive()
        assert len(sampler.stop()) <= seen + 1  # one may have been under way
        assert child.poll() is None  # it is there, but it is not the one that was watched


def test_a_sampler_can_be_used_again_but_not_twice_at_once() -> None:
    sampler = ProcessSampler(interval_s=FAST)
    sampler.start(os.getpid())
    with pytest.raises(RuntimeError, match=r"call stop\(\) first"):
        sampler.start(os.getpid())
    first = sampler.stop()
    assert sampler.stop() == first
    sampler.start(os.getpid())
    second = sampler.stop()
    assert second[0].cpu_percent is None  # it starts anew
    assert second != first


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        ProcessSampler(interval_s=0)


def test_the_time_of_other_programs_is_the_host_s_without_the_process_and_the_sampler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four core-seconds of the host go by between two samples of a process that does nothing."""
    busy = iter((100.0, 104.0))
    monkeypatch.setattr("harness.telemetry.process_sampler.host_cpu_seconds", lambda: next(busy))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle:
        look = _ProcessLook(idle.pid, GpuWatch(None, ()))
        first, second = look.sample(), look.sample()
        idle.communicate(b"\n")
    assert first.other_cpu_percent is None
    assert second.other_cpu_percent is not None
    seconds = second.other_cpu_percent / 100 * (second.t_seconds - first.t_seconds)
    assert 2.0 < seconds <= 4.0  # less what the two processes themselves used


def test_the_busy_time_of_the_host_grows_with_work() -> None:
    before, mine = host_cpu_seconds(), time.process_time()
    while time.process_time() < mine + 0.1:
        pass
    assert host_cpu_seconds() - before >= 0.05

"""What telemetry itself costs the machine it watches. Ceilings hold only where benchmarks are switched on."""

import math
import os
import time

import numpy as np
import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.machine.code_digest import code_digests
from harness.machine.environment import environment
from harness.statistics import paired_estimate
from harness.telemetry.gpu_watch import GpuWatch
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.process_sampler import _ProcessLook
from tests.support.fake_gpus import A, FakeGpus

SAMPLES_PER_SECOND = 10
LARGEST_SHARE = 0.01
"""Of the time of a core, for all samples together."""


def ceiling(benchmark: BenchmarkFixture, seconds: float) -> None:
    if benchmark.enabled:
        assert benchmark.stats is not None
        assert benchmark.stats.stats.median <= seconds


@pytest.mark.benchmark(timer=time.process_time)
def test_a_telemetry_sample(benchmark: BenchmarkFixture) -> None:
    """CPU time, not time that passes."""
    look = _ProcessLook(os.getpid(), GpuWatch(None, ()))
    look._slow_due = math.inf
    benchmark(look.sample)
    ceiling(benchmark, LARGEST_SHARE / SAMPLES_PER_SECOND)


@pytest.mark.benchmark(timer=time.process_time)
def test_a_telemetry_sample_with_what_is_read_once_per_second(benchmark: BenchmarkFixture) -> None:
    look = _ProcessLook(os.getpid(), GpuWatch(None, ()))

    def slow_sample() -> None:
        look._slow_due = 0.0
        look.sample()

    benchmark(slow_sample)
    ceiling(benchmark, 0.002)


def test_a_telemetry_sample_with_a_gpu(benchmark: BenchmarkFixture, fake_gpus: FakeGpus) -> None:
    """The CPU time of the sampler and of the process that reads NVML. This library answers at once; what the
    driver of a real GPU takes comes on top.
    """
    with NvmlReader() as reader:
        look = _ProcessLook(os.getpid(), GpuWatch(reader, [A]))
        look.sample()
        look._slow_due = math.inf
        assert reader._process is not None
        child = psutil.Process(reader._process._child.pid)
        count, before = 0, time.thread_time() + sum(child.cpu_times()[:2])

        def sample() -> None:
            nonlocal count
            count += 1
            look.sample()

        benchmark(sample)
        seconds = (time.thread_time() + sum(child.cpu_times()[:2]) - before) / count
    benchmark.extra_info["cpu_seconds"] = seconds
    if benchmark.enabled:
        assert seconds <= LARGEST_SHARE / SAMPLES_PER_SECOND


def test_the_digest_of_the_code(benchmark: BenchmarkFixture) -> None:
    benchmark(code_digests)
    ceiling(benchmark, 0.050)


def test_the_fingerprint_of_the_machine(benchmark: BenchmarkFixture) -> None:
    benchmark(environment)
    ceiling(benchmark, 0.050)


def test_an_estimate_from_three_hundred_rounds(benchmark: BenchmarkFixture) -> None:
    pairs = dict(enumerate(np.random.default_rng(0).normal(size=300).tolist()))
    benchmark(paired_estimate, pairs)
    ceiling(benchmark, 0.050)

"""What telemetry itself costs the machine it watches. Ceilings hold only where benchmarks are switched on."""

import math
import os
import time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.machine.code_digest import code_digests
from harness.machine.environment import environment
from harness.statistics import paired_estimate
from harness.telemetry.process_sampler import _GpuWatch, _ProcessLook


def ceiling(benchmark: BenchmarkFixture, seconds: float) -> None:
    if benchmark.enabled:
        assert benchmark.stats is not None
        assert benchmark.stats.stats.median <= seconds


@pytest.mark.benchmark(timer=time.process_time)
def test_a_telemetry_sample(benchmark: BenchmarkFixture) -> None:
    """CPU time, not time that passes: one hundredth of a core at ten samples per second."""
    look = _ProcessLook(os.getpid(), _GpuWatch(None, ()))
    look._slow_due = math.inf
    benchmark(look.sample)
    ceiling(benchmark, 0.001)


@pytest.mark.benchmark(timer=time.process_time)
def test_a_telemetry_sample_with_what_is_read_once_per_second(benchmark: BenchmarkFixture) -> None:
    look = _ProcessLook(os.getpid(), _GpuWatch(None, ()))

    def slow_sample() -> None:
        look._slow_due = 0.0
        look.sample()

    benchmark(slow_sample)
    ceiling(benchmark, 0.002)


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

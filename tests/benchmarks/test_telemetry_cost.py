"""What telemetry itself costs the machine it watches. Ceilings hold only where benchmarks are switched on."""

import os

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from harness.machine.code_digest import code_digests
from harness.machine.environment import environment
from harness.statistics import paired_estimate
from harness.telemetry.process_sampler import _GpuWatch, _ProcessLook


def ceiling(benchmark: BenchmarkFixture, seconds: float) -> None:
    if benchmark.enabled:
        assert benchmark.stats is not None
        assert benchmark.stats.stats.median <= seconds


def test_a_telemetry_sample(benchmark: BenchmarkFixture) -> None:
    look = _ProcessLook(os.getpid(), _GpuWatch(None, ()))
    benchmark(look.sample)
    ceiling(benchmark, 0.001)  # one hundredth of a core at ten samples a second


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

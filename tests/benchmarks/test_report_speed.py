"""The whole report of an ordinary study, imports included, takes at most five seconds."""

import subprocess
import sys

from pytest_benchmark.fixture import BenchmarkFixture

PROGRAM = """
import time
from tests.report.synthetic import frame_of, synthetic_report
report = synthetic_report()
assert len(frame_of(report)) == 120 * 8 * 3
"""
IMPORT = """
from harness.report.build import render
"""
RENDER = f"{IMPORT}render(report)"


def test_render(benchmark: BenchmarkFixture) -> None:
    from harness.report.build import render
    from tests.report.synthetic import synthetic_report

    page = benchmark.pedantic(render, args=(synthetic_report(),), rounds=3)  # type: ignore[no-untyped-call]
    assert page.count("<figure") == 5


def test_process(benchmark: BenchmarkFixture) -> None:
    program = PROGRAM + (RENDER if benchmark.enabled else IMPORT)  # what it renders is tested above

    def run() -> None:
        subprocess.run([sys.executable, "-c", program], check=True)

    benchmark.pedantic(run, rounds=3)  # type: ignore[no-untyped-call]

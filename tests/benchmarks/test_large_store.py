"""What commands cost on a store of 9,867 trials and 4.89 million samples.

Run with `--benchmark-enable`; without it, only that they work on a small store. The figures are in
docs/robustness.md.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.large_store import Size, large_store
from tests.end_to_end.workplace import COMMAND, Workplace

CPU_SECONDS, MEGABYTES, REPORT_MEGABYTES = 30.0, 500, 1000
COMMANDS = {
    "list": ("list",),
    "plan": ("plan", "tiny", "--rows"),
    "show STUDY": ("show", "tiny"),
    "show TRIAL": ("show", "TRIAL"),
    "export csv": ("export", "tiny", "--output", "samples.csv"),
    "export parquet": ("export", "tiny", "--format", "parquet", "--output", "samples.parquet"),
    "report": ("report", "tiny"),
    "verify": ("verify", "reports/tiny.html"),
    "store check": ("store", "check"),
}

LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.returncode, spent.ru_utime + spent.ru_stime, spent.ru_maxrss / 1024)
"""
"""The peak memory of a process counts from before its program is loaded, so a small process starts it."""


@dataclass(frozen=True, kw_only=True)
class LargeStore:
    """A workplace with a large store, and the id of its last trial."""

    workplace: Workplace
    trial: str


@pytest.fixture(scope="module")
def store(request: pytest.FixtureRequest, new_workplace: Callable[[], Workplace]) -> Iterator[LargeStore]:
    """The store is made once: recording it takes minutes."""
    enabled = request.config.getoption("benchmark_enable")
    workplace = new_workplace()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workplace.folder)
        patch.setenv("HARNESS_CACHE", str(workplace.cache))
        trial = large_store(workplace.folder, Size() if enabled else Size(rounds=10, units=2, looks=1))
    yield LargeStore(workplace=workplace, trial=trial)
    for file in workplace.folder.glob("samples.*"):
        file.unlink()


@pytest.mark.parametrize("name", COMMANDS)
def test_cost(name: str, store: LargeStore, benchmark: BenchmarkFixture) -> None:
    workplace = store.workplace
    arguments = [store.trial if word == "TRIAL" else word for word in COMMANDS[name]]
    if not benchmark.enabled:
        result = benchmark(workplace.asked, *arguments)
        assert result.exit_code == 0, result.output
        return
    code, seconds, megabytes = benchmark.pedantic(spent, (workplace, arguments))  # type: ignore[no-untyped-call]
    benchmark.extra_info |= {"cpu_seconds": seconds, "peak_megabytes": megabytes}
    sys.stdout.write(f"{name}: {seconds:.1f} s of CPU, {megabytes:.0f} MB\n")
    assert code == 0
    assert seconds < CPU_SECONDS
    assert megabytes < (REPORT_MEGABYTES if name == "report" else MEGABYTES)


def spent(workplace: Workplace, arguments: list[str]) -> tuple[int, float, float]:
    """The exit code of a command, its seconds of CPU and its peak memory in megabytes (2^20 bytes)."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(COMMAND), *arguments],
        cwd=workplace.folder,
        env=workplace.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    code, seconds, megabytes = done.stdout.split()
    return int(code), float(seconds), float(megabytes)

"""The loop beside every round: one time per round, none that is too old, and nothing of the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.gate import suite_plug_in
from harness.gate.suite import REFERENCE_LOOP, REFERENCE_SECONDS
from harness.gate.suite_plug_in.harness_reference_loop import KEY, VALID_FOR, ReferenceLoop


def test_the_suite_names_the_plug_in_and_its_list() -> None:
    (folder,) = suite_plug_in.__path__
    assert (Path(folder) / f"{REFERENCE_LOOP}.py").is_file()
    assert REFERENCE_SECONDS == KEY


def test_the_loop_is_timed_again_when_its_time_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that goes on by a second at each look: the loop takes one."""
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(time, "perf_counter", clock)
    loop = ReferenceLoop()
    assert loop.seconds() == 1.0
    looks = now[0]
    assert loop.seconds() == 1.0
    assert now[0] == looks + 3, "too old: a look at the age, and two around the loop"
    monkeypatch.setattr(time, "perf_counter", lambda: now[0] + VALID_FOR / 2)
    assert loop.seconds() == 1.0


def test_real_benchmarks_have_a_time_of_the_loop_for_each_round(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_rounds(benchmark):\n    benchmark.pedantic(sum, args=([1],), rounds=3, warmup_rounds=2)\n"
        "def test_calibrated(benchmark):\n    benchmark(sum, [1])\n"
    )
    options = ["-q", "-p", "no:cacheprovider", "-p", REFERENCE_LOOP, "--benchmark-json=out.json"]
    quick = ["--benchmark-min-rounds=4", "--benchmark-max-time=0.001"]
    variables = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    variables["PYTHONPATH"] = os.pathsep.join(suite_plug_in.__path__)
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *quick, "test_it.py"],
        cwd=tmp_path,
        env=variables,
        check=True,
        capture_output=True,
    )
    benchmarks = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert [one["name"] for one in benchmarks] == ["test_rounds", "test_calibrated"]
    for one in benchmarks:
        loops = one["extra_info"][KEY]
        assert len(loops) == len(one["stats"]["data"]) >= 3
        assert all(0 < seconds < 1 for seconds in loops)

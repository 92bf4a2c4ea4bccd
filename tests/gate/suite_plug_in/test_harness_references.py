"""The references beside every round: one time per round, none that is too old, nothing of the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.gate import suite_plug_in
from harness.gate.suite import REFERENCE_SECONDS, REFERENCES
from harness.gate.suite_plug_in.harness_references import KEYS, OBJECTS, STEPS, VALID_FOR, References, Seconds


def test_the_suite_names_the_plug_in_and_its_list() -> None:
    (folder,) = suite_plug_in.__path__
    assert (Path(folder) / f"{REFERENCES}.py").is_file()
    assert tuple(REFERENCE_SECONDS.values()) == KEYS
    assert tuple(REFERENCE_SECONDS) == Seconds._fields


def test_they_are_timed_again_when_their_times_are_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that goes on by a second at each look: each of them takes one."""
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(time, "perf_counter", clock)
    references = References()
    assert references.seconds() == (1.0, 1.0)
    looks = now[0]
    assert references.seconds() == (1.0, 1.0)
    assert now[0] == looks + 4, "too old: a look at the age, and three around the loop and the walk"
    monkeypatch.setattr(time, "perf_counter", lambda: now[0] + VALID_FOR / 2)
    assert references.seconds() == (1.0, 1.0)


def test_a_walk_meets_no_object_twice() -> None:
    objects, at, seen = References()._objects, 0, set[int]()
    for _ in range(2 * STEPS):
        at = objects[at]
        seen.add(at)
    assert len(seen) == 2 * STEPS
    assert len(objects) == OBJECTS


def test_real_benchmarks_have_a_time_of_each_reference_for_each_round(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_rounds(benchmark):\n    benchmark.pedantic(sum, args=([1],), rounds=3, warmup_rounds=2)\n"
        "def test_calibrated(benchmark):\n    benchmark(sum, [1])\n"
    )
    options = ["-q", "-p", "no:cacheprovider", "-p", REFERENCES, "--benchmark-json=out.json"]
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
        for key in KEYS:
            times = one["extra_info"][key]
            assert len(times) == len(one["stats"]["data"]) >= 3
            assert all(0 < seconds < 1 for seconds in times)

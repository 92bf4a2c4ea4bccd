"""Times in the file of pytest-benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.programs.outputs import Printed, Value
from harness.programs.outputs.base import ProgramOutputError
from harness.programs.outputs.pytest_benchmark import PytestBenchmark


def values(folder: Path, benchmark: str, extra_info: str | None = None) -> list[Value]:
    output = PytestBenchmark(file="out.json", benchmark=benchmark, extra_info=extra_info)
    return list(output.values("seconds", Printed(lines=(), folder=folder)))


def entry(name: str, **stats: Any) -> dict[str, Any]:
    return {"name": name, "fullname": f"tests/bench.py::{name}", "stats": stats}


def test_a_file_that_pytest_benchmark_wrote(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_sum(benchmark):\n    benchmark.pedantic(sum, args=([1, 2],), rounds=3, iterations=1)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-json=out.json"]
    # pytest-benchmark writes nothing in a process of pytest-xdist, which it knows by this variable.
    variables = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    subprocess.run([*command, "test_it.py"], cwd=tmp_path, env=variables, check=True, capture_output=True)
    measured = values(tmp_path, "test_sum")
    assert len(measured) == 3
    assert all(one.step is None and 0 < one.value < 1 for one in measured)
    assert values(tmp_path, "test_it.py::test_sum") == measured


def test_without_its_rounds_the_median_counts(tmp_path: Path) -> None:
    benchmarks = [entry("test_a", median=0.5, data=[]), entry("test_b", median=2)]
    (tmp_path / "out.json").write_text(json.dumps({"benchmarks": benchmarks}))
    assert values(tmp_path, "test_a") == [Value(None, 0.5)]
    assert values(tmp_path, "tests/bench.py::test_b") == [Value(None, 2.0)]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([], "out.json is not a file of pytest-benchmark"),
        ({"benchmarks": {}}, "out.json is not a file of pytest-benchmark"),
        ({"benchmarks": [None, entry("test_b", median=1)]}, "out.json has no benchmark 'test_a'"),
        ({"benchmarks": [entry("test_a", median=1)] * 2}, "out.json has several benchmarks 'test_a'"),
        ({"benchmarks": [{"name": "test_a"}]}, "out.json has no stats of 'test_a'"),
        ({"benchmarks": [entry("test_a")]}, "out.json, test_a: 'None' is not a number"),
        ({"benchmarks": [entry("test_a", data=[1, "x"])]}, "out.json, test_a: 'x' is not a number"),
    ],
)
def test_a_benchmark_that_cannot_be_read(tmp_path: Path, document: object, error: str) -> None:
    (tmp_path / "out.json").write_text(json.dumps(document))
    with pytest.raises(ProgramOutputError, match=error):
        values(tmp_path, "test_a")


def test_numbers_beside_the_rounds(tmp_path: Path) -> None:
    benchmark = {**entry("test_a", data=[6.0, 8.0]), "extra_info": {"loop": [2, 4.0], "other": [0, 1]}}
    (tmp_path / "out.json").write_text(json.dumps({"benchmarks": [benchmark]}))
    assert values(tmp_path, "test_a", "loop") == [Value(None, 2.0), Value(None, 4.0)]
    assert values(tmp_path, "test_a") == [Value(None, 6.0), Value(None, 8.0)]


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        (None, "test_a: loop is not a list with a number for each of 2 rounds"),
        ({}, "test_a: loop is not a list with a number for each of 2 rounds"),
        ({"loop": 2}, "test_a: loop is not a list with a number for each of 2 rounds"),
        ({"loop": [2]}, "test_a: loop is not a list with a number for each of 2 rounds"),
        ({"loop": [2, "x"]}, "test_a: 'x' is not a number"),
    ],
)
def test_numbers_beside_the_rounds_that_cannot_be_read(tmp_path: Path, extra: object, error: str) -> None:
    benchmark = {**entry("test_a", data=[6.0, 8.0]), "extra_info": extra}
    (tmp_path / "out.json").write_text(json.dumps({"benchmarks": [benchmark]}))
    with pytest.raises(ProgramOutputError, match=error):
        values(tmp_path, "test_a", "loop")

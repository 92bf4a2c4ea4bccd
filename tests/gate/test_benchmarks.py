"""What pytest-benchmark wrote: every figure that is no time is named, and none is compared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.gate.benchmarks import Benchmark, read_benchmarks


def written(folder: Path, document: object) -> Path:
    file = folder / "benchmarks.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


def one(folder: Path, stats: object, **others: object) -> Benchmark:
    row = {"fullname": "f.py::test_a", "stats": stats, **others}
    (benchmark,) = read_benchmarks(written(folder, {"benchmarks": [row]})).values()
    return benchmark


@pytest.mark.parametrize("median", [0.25, 3, 1e-9])
def test_a_positive_number_is_a_time(tmp_path: Path, median: float) -> None:
    benchmark = one(tmp_path, {"median": median})
    assert (benchmark.median, benchmark.problem, benchmark.margin) == (median, "", None)


@pytest.mark.parametrize(
    ("stats", "problem"),
    [
        ({"median": float("nan")}, "its median is nan"),
        ({"median": float("inf")}, "its median is inf"),
        ({"median": 0}, "its median is 0 s, which no work takes"),
        ({"median": 0.0}, "its median is 0 s, which no work takes"),
        ({"median": -1}, "its median is -1 s, which no work takes"),
        ({"median": 10**400}, "it has no median"),
        ({"median": True}, "it has no median"),
        ({"median": "0.2"}, "it has no median"),
        ({"median": None}, "it has no median"),
        ({"mean": 1}, "it has no median"),
        ({}, "it has no median"),
        (None, "it has no median"),
        ([1], "it has no median"),
    ],
)
def test_everything_else_is_a_problem(tmp_path: Path, stats: object, problem: str) -> None:
    benchmark = one(tmp_path, stats)
    assert benchmark.problem == problem
    assert math.isnan(benchmark.median)


def test_a_benchmark_can_state_its_margin(tmp_path: Path) -> None:
    assert one(tmp_path, {"median": 1}, extra_info={"margin": 0.2}).margin == 0.2
    assert one(tmp_path, {"median": 1}, extra_info={"other": 1}).margin is None
    assert one(tmp_path, {"median": 1}, extra_info=None).margin is None


@pytest.mark.parametrize("margin", [0, 1, 5, -0.1, float("nan"), "5 %", True, [], 10**400])
def test_a_margin_that_is_no_share_is_a_problem(tmp_path: Path, margin: object) -> None:
    benchmark = one(tmp_path, {"median": 1}, extra_info={"margin": margin})
    assert benchmark.margin is None
    assert "is not between 0 and 1" in benchmark.problem


def test_an_empty_list_is_a_suite_without_benchmarks(tmp_path: Path) -> None:
    assert read_benchmarks(written(tmp_path, {"benchmarks": []})) == {}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "this is not JSON"),
        ("{", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ([], "not a file of pytest-benchmark"),
        ({}, "not a file of pytest-benchmark"),
        ({"benchmarks": {}}, "not a file of pytest-benchmark"),
        ({"benchmarks": [1]}, "a benchmark has no full name"),
        ({"benchmarks": [{"name": "a"}]}, "a benchmark has no full name"),
        ({"benchmarks": [{"fullname": ""}]}, "a benchmark has no full name"),
        ({"benchmarks": [{"fullname": "a"}, {"fullname": "a"}]}, "the benchmark 'a' occurs twice"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_benchmarks(written(tmp_path, document))


def test_a_missing_file_and_one_of_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_benchmarks(tmp_path / "none.json")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="this is not JSON"):
        read_benchmarks(tmp_path / "bytes")

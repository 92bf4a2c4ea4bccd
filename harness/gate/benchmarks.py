"""What pytest-benchmark wrote about a run of a suite."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError, Location

MARGIN = "margin"
"""The key of `benchmark.extra_info` with the largest slow-down of a benchmark that does not matter."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark by its full name, with the median of its seconds, and its own margin if it has one.
    `problem` says why the figure cannot be compared; it is empty if it can.
    """

    name: str
    median: float
    margin: float | None
    problem: str


def read_benchmarks(file: Path) -> dict[str, Benchmark]:
    """Every benchmark of a file, by its full name. Raises InputError if it is no file of pytest-benchmark."""
    at = Location(str(file))
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("there is no such file", at=at) from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}", at=at) from None
    listed = document.get("benchmarks") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise InputError("this is not a file of pytest-benchmark", at=at)
    benchmarks: dict[str, Benchmark] = {}
    for one in listed:
        name = one.get("fullname") if isinstance(one, Mapping) else None
        if not isinstance(name, str) or not name:
            raise InputError("a benchmark has no full name", at=at)
        if name in benchmarks:
            raise InputError(f"the benchmark {name!r} occurs twice", at=at)
        benchmarks[name] = _benchmark(name, one)
    return benchmarks


def _benchmark(name: str, one: Mapping[str, Any]) -> Benchmark:
    stats, extra = one.get("stats"), one.get("extra_info")
    median = stats.get("median") if isinstance(stats, Mapping) else None
    seconds, problem = _seconds(median)
    margin = extra.get(MARGIN) if isinstance(extra, Mapping) else None
    if margin is not None and not (is_number(margin) and 0 < margin < 1):
        margin, problem = None, problem or f"its margin {str(margin)[:40]!r} is not between 0 and 1"
    return Benchmark(name=name, median=seconds, margin=margin, problem=problem)


def _seconds(median: Any) -> tuple[float, str]:
    if not is_number(median):
        return math.nan, "it has no median"
    if not math.isfinite(median):
        return math.nan, f"its median is {median}"
    if median <= 0:
        return math.nan, f"its median is {median:g} s, which no work takes"
    return float(median), ""


def is_number(value: Any) -> bool:
    """Whether it is a number, and not a truth value or an integer that no float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max

"""Times in the JSON file of pytest-benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from harness.programs.outputs.base import FilePath, OutputKind, Printed, ProgramOutputError, Value, number_of
from harness.programs.outputs.json_file import read_json


class PytestBenchmark(OutputKind):
    """The seconds of each round of a `benchmark`, by its name or its full name (`tests/bench.py::test_a`), in
    the file of `pytest --benchmark-json=FILE`. If a file has no rounds (`--benchmark-autosave` writes such
    files), the median that pytest-benchmark computed.
    """

    kind: Literal["pytest-benchmark"] = "pytest-benchmark"
    file: FilePath
    """The file that `--benchmark-json` wrote, relative to the folder in which the program runs."""

    benchmark: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """The name of the benchmark, or its full name."""

    extra_info: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    """The name of a list in the `extra_info` of the benchmark with one number for each round. These numbers
    are the values, instead of the seconds.
    """

    def values(self, metric: str, printed: Printed) -> Iterator[Value]:  # noqa: ARG002
        document = read_json(printed, self.file)
        listed = document.get("benchmarks") if isinstance(document, Mapping) else None
        if not isinstance(listed, list):
            raise ProgramOutputError(f"{self.file} is not a file of pytest-benchmark")
        chosen = [
            one
            for one in listed
            if isinstance(one, Mapping) and self.benchmark in (one.get("fullname"), one.get("name"))
        ]
        if len(chosen) != 1:
            problem = "has no benchmark" if not chosen else "has several benchmarks"
            raise ProgramOutputError(f"{self.file} {problem} {self.benchmark!r}")
        stats = chosen[0].get("stats")
        if not isinstance(stats, Mapping):
            raise ProgramOutputError(f"{self.file} has no stats of {self.benchmark!r}")
        data = stats.get("data")
        seconds = data if isinstance(data, list) and data else [stats.get("median")]
        numbers = seconds if self.extra_info is None else self._beside(chosen[0], len(seconds))
        for value in numbers:
            yield Value(None, number_of(value, f"{self.file}, {self.benchmark}"))

    def _beside(self, benchmark: Mapping[str, Any], rounds: int) -> list[Any]:
        extra = benchmark.get("extra_info")
        numbers = extra.get(self.extra_info) if isinstance(extra, Mapping) else None
        if not isinstance(numbers, list) or len(numbers) != rounds:
            where = f"{self.file}, {self.benchmark}: {self.extra_info}"
            raise ProgramOutputError(f"{where} is not a list with a number for each of {rounds} rounds")
        return numbers

"""Nothing is timed by the wall clock, which somebody may set by ten days in the middle of a unit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_READ_IT = {"harness/telemetry/host_clocks.py": "records how much the wall clock jumped"}
"""Modules that read the wall clock, and what they use it for, which must not be a duration."""

SOURCES = sorted(path for folder in ("harness", "models") for path in (ROOT / folder).rglob("*.py"))


def readings(tree: ast.AST) -> Iterator[int]:
    """The lines that read the wall clock as a number of seconds."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns" | "CLOCK_REALTIME"):
                yield node.lineno
            case ast.ImportFrom(module="time", names=names) if any(
                n.name in ("time", "time_ns") for n in names
            ):
                yield node.lineno
            case ast.Attribute(attr="timestamp"):
                yield node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_timings_do_not_use_the_wall_clock(path: Path) -> None:
    lines = list(readings(ast.parse(path.read_text(encoding="utf-8"))))
    assert bool(lines) is (path.relative_to(ROOT).as_posix() in MAY_READ_IT), lines


@pytest.mark.parametrize(
    "code", ["time.time()", "time.time_ns()", "from time import time", "datetime.now(UTC).timestamp()"]
)
def test_a_reading_of_the_wall_clock_is_noticed(code: str) -> None:
    assert list(readings(ast.parse(code))) == [1]

"""Benchmarks of some 10 ms each, with which the gate tests itself: a loop, a dictionary, bytes, a sort."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

ROUNDS = 20


def loop() -> int:
    return sum(number * number for number in range(150_000))


def dictionary() -> int:
    return len({str(number): number for number in range(50_000)})


def copies() -> int:
    return sum(len(bytes(bytearray(2_000_000))) for _ in range(6))


def sorting() -> list[float]:
    draw = random.Random(0)
    return sorted(draw.random() for _ in range(40_000))


@pytest.mark.parametrize("work", [loop, dictionary, copies, sorting], ids=lambda work: work.__name__)
def test_work(benchmark: Any, work: Callable[[], object]) -> None:
    benchmark.pedantic(work, rounds=ROUNDS, warmup_rounds=1)

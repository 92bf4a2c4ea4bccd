"""The planted slow-down: where it is planted, how large it is, and that nothing else is slower."""

from __future__ import annotations

import time

import pytest

from harness.gate import plant
from harness.gate.plant import VARIABLE, plant_text, planted, slowed


def test_the_variable_is_read_back_and_equally_long(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "bench/test_x.py::test_x[a::b]"
    lengths = set()
    for share in (0.0, 0.1, 0.4):
        monkeypatch.setenv(VARIABLE, plant_text(name, share))
        assert planted() == (name, share)
        lengths.add(len(plant_text(name, share)))
    assert len(lengths) == 1
    monkeypatch.delenv(VARIABLE)
    assert planted() == ("", 0)
    monkeypatch.setenv(VARIABLE, plant_text("", 0.0))
    assert planted() == ("", 0)


def test_a_slowed_function_takes_the_share_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that goes on by 1 ms at each look, and by 1 s while the function works."""
    now = [0.0]

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    def work(first: int, *, second: int) -> int:
        now[0] += 1.0
        return first + second

    monkeypatch.setattr(time, "perf_counter", clock)
    assert slowed(work, 0.1)(1, second=2) == 3
    assert now[0] == pytest.approx(1.1, abs=0.01)


def test_only_the_planted_benchmark_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixture:
        def __init__(self, fullname: str) -> None:
            self.fullname = fullname

        def __call__(self, function: object) -> object:
            return function

        def pedantic(self, function: object, rounds: int = 1) -> object:
            return function

    monkeypatch.setattr(plant, "BenchmarkFixture", Fixture)
    before = Fixture.pedantic
    monkeypatch.setenv(VARIABLE, plant_text("a::b", 0.0))
    plant.pytest_configure()
    assert Fixture.pedantic is before
    monkeypatch.setenv(VARIABLE, plant_text("a::b", 0.1))
    plant.pytest_configure()
    for fixture, changes in ((Fixture("a::b"), True), (Fixture("a::c"), False)):
        assert (fixture(abs) is not abs) is changes
        assert (fixture.pedantic(abs, rounds=2) is not abs) is changes

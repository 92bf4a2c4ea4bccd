"""Timing of units over a clock that the test sets."""

import math
import time

import pytest
import torch
from pydantic import ValidationError

from harness.telemetry.clock import Clock, WarmUp, time_units


class Script:
    """A clock and a unit of work: the unit moves the clock on by the next of the given seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> None:
        self.now = 0
        self.left = list(seconds)
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now)

    def unit(self) -> None:
        self.now += round(self.left.pop(0) * 1e9)


def test_warm_up_ends_when_the_last_units_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, [9.0, 5.0, 2.0, 2.04, 2.1, 2.0, 3.0, 2.5])
    timing = time_units(script.unit, count=3, clock=Clock(), warm_up=WarmUp(window=3, tolerance=0.05))
    assert timing.warm_up_seconds == (9.0, 5.0, 2.0, 2.04, 2.1)
    assert timing.steady is True
    assert timing.seconds == (2.0, 3.0, 2.5)
    assert script.left == []


def test_warm_up_gives_up_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, [1.0, 2.0, 1.0, 2.0, 1.0])
    timing = time_units(script.unit, count=1, clock=Clock(), warm_up=WarmUp(at_most=4, window=2))
    assert len(timing.warm_up_seconds) == 4
    assert timing.steady is False
    assert timing.seconds == (1.0,)


def test_warm_up_runs_at_least_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, [1.0] * 7)
    timing = time_units(script.unit, count=1, clock=Clock(), warm_up=WarmUp(at_least=6, window=2))
    assert (len(timing.warm_up_seconds), timing.steady) == (6, True)


@pytest.mark.parametrize(("second", "steady"), [(1.02, True), (1.2, False)])
def test_a_warm_up_too_short_to_tell_is_judged_with_the_units_that_count(
    monkeypatch: pytest.MonkeyPatch, second: float, *, steady: bool
) -> None:
    script = Script(monkeypatch, [1.0, 1.01, second])
    timing = time_units(script.unit, count=2, clock=Clock(), warm_up=WarmUp(at_most=1, window=3))
    assert (len(timing.warm_up_seconds), timing.steady) == (1, steady)


def test_no_warm_up_is_never_called_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, [1.0, 1.0])
    timing = time_units(script.unit, count=2, clock=Clock(), warm_up=WarmUp(at_least=0, at_most=0))
    assert (timing.seconds, timing.warm_up_seconds, timing.steady) == ((1.0, 1.0), (), False)


def test_the_span_is_that_of_the_counted_units() -> None:
    calls: list[float] = []
    timing = time_units(
        lambda: calls.append(time.monotonic()), count=2, clock=Clock(), warm_up=WarmUp(at_least=1, at_most=1)
    )
    warm_up, *counted = calls
    assert warm_up <= timing.span.begin <= counted[0]
    assert counted[1] <= timing.span.end <= time.monotonic()


def test_the_device_is_waited_for_before_the_time_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: events.append(str(device)))

    def read() -> int:
        events.append("read")
        return 0

    monkeypatch.setattr(time, "perf_counter_ns", read)
    time_units(
        lambda: events.append("unit"),
        count=1,
        clock=Clock("cuda:1"),
        warm_up=WarmUp(at_least=0, at_most=0),
    )
    assert events == ["cuda:1", "read", "unit", "cuda:1", "read"]
    events.clear()
    Clock("cpu").now_ns()
    assert events == ["read"]


def test_senseless_rules_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"at_least \(5\) must not be larger than at_most \(2\)"):
        WarmUp(at_least=5, at_most=2)
    with pytest.raises(ValidationError, match="windoe"):
        WarmUp.model_validate({"windoe": 3})
    with pytest.raises(ValueError, match="count must be at least 1"):
        time_units(lambda: None, count=0, clock=Clock())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([2.0, 2.0, 2.0], True),
        ([9.0, 2.0, 2.1, 2.05], True),
        ([2.0, 2.0, 2.2], False),
        ([2.2, 2.0, 2.0], False),
        ([2.0, 2.0], False),
        ([], False),
        ([2.0, 2.0, math.nan], False),
        ([math.nan, 2.0, 2.0], False),
        ([2.0, 2.0, math.inf], False),
    ],
)
def test_the_last_units_agree(*, seconds: list[float], expected: bool) -> None:
    assert WarmUp(window=3, tolerance=0.05).steady(seconds) is expected


def test_a_unit_twice_as_long_is_as_steady() -> None:
    seconds = [1.0, 0.55, 0.52, 0.5]
    for factor in (1e-6, 1.0, 1e6):
        assert WarmUp(window=3, tolerance=0.11).steady([factor * value for value in seconds])
        assert not WarmUp(window=3, tolerance=0.09).steady([factor * value for value in seconds])

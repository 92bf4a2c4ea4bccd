"""Planted steps in a history, noise, and what is said about them. `make history` installs the extra."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from harness.gate import change_points as module
from harness.gate.change_points import NEWEST, can_find_changes, change_points, change_warnings
from harness.gate.history import benchmark_histories
from tests.gate.histories import BENCHMARK, accepted_times, noisy

needs_otava = pytest.mark.skipif(find_spec("otava") is None, reason="the extra `history` is not installed")
CODE = {BENCHMARK: "c"}


def steps(times: list[float]) -> list[tuple[int, float]]:
    """The day of each change point, and its ratio."""
    (history,) = benchmark_histories(accepted_times(times))
    return [(int(one.revision[:12], 16), one.ratio) for one in change_points(history)]


@needs_otava
def test_a_planted_step_is_detected_on_its_day() -> None:
    for seed in range(10):
        ((day, ratio),) = steps(noisy((12, 0.01), (8, 0.0107), seed=seed))
        assert day in (11, 12, 13)
        assert ratio == pytest.approx(1.07, abs=0.02)


@needs_otava
def test_a_drift_that_no_gate_sees_is_detected() -> None:
    """Ten revisions of 1 % each, none of which is beyond a margin of 5 %."""
    drift = [0.01 * 1.01**number for number in range(10)]
    assert steps([*noisy((15, 0.01)), *drift, *noisy((15, 0.01 * 1.01**10), seed=1)])


@needs_otava
@pytest.mark.parametrize(
    ("parts", "noise", "fewest", "most"),
    [
        ([(30, 1.0)], 0.01, 0.0, 0.02),
        ([(30, 1.0)], 0.03, 0.0, 0.04),
        ([(12, 1.0), (4, 1.07)], 0.01, 0.98, 1.0),
        ([(12, 1.0), (4, 1.07)], 0.03, 0.55, 0.75),
        ([(15, 1.0), (15, 1.03)], 0.01, 0.95, 1.0),
        ([(15, 1.0), (15, 1.03)], 0.03, 0.25, 0.5),
    ],
)
def test_how_often_steps_and_noise_are_warned_of(
    parts: list[tuple[int, float]], noise: float, fewest: float, most: float
) -> None:
    """The figures of docs/gate.md, from 300 histories."""
    histories = (accepted_times(noisy(*parts, seed=seed, noise=noise)) for seed in range(300))
    warned = sum(bool(change_warnings(lines, machine="m1", code=CODE)) for lines in histories)
    assert fewest <= warned / 300 <= most


@needs_otava
def test_a_step_before_the_newest_revisions_is_old_news() -> None:
    step = noisy((20, 0.01), (30, 0.0107))
    assert [day for day, _ in steps(step)] == [20]
    assert steps([*step, *noisy((NEWEST - 30, 0.0107), seed=1)]) == []


@needs_otava
@pytest.mark.parametrize("times", [[], [0.01], [0.01, 0.02], [0.01] * 9, [1e-6, 1e6] * 5])
def test_histories_that_say_nothing(times: list[float]) -> None:
    lines = accepted_times(times)
    assert change_warnings(lines, machine="m1", code=CODE) == ()


@needs_otava
def test_a_slow_down_on_this_machine_is_a_warning() -> None:
    slower = accepted_times(noisy((12, 0.01), (8, 0.0107)), machine="m1")
    lines = [*slower, *accepted_times(noisy((20, 0.05), seed=1), machine="m2")]
    (warning,) = change_warnings(lines, machine="m1", code=CODE)
    assert warning.startswith(
        f"{BENCHMARK} is slower by 6.5 % since 00000000000c (2026-01-13) in the history"
    )
    assert change_warnings(lines, machine="m2", code=CODE) == ()
    assert change_warnings(lines, machine="m1", code={BENCHMARK: "changed"}) == ()
    assert change_warnings(lines, machine="m1", code={}) == ()


@needs_otava
def test_what_became_faster_again_is_no_warning() -> None:
    times = noisy((12, 0.01), (12, 0.0107), (12, 0.01))
    assert [ratio > 1 for _, ratio in steps(times)] == [True, False]
    assert change_warnings(accepted_times(times), machine="m1", code=CODE) == ()


def test_without_the_extra_there_is_neither_a_warning_nor_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "otava" else pytest.fail(name))
    assert not can_find_changes()
    lines = accepted_times(noisy((12, 0.01), (8, 0.02)))
    assert change_warnings(lines, machine="m1", code=CODE) == ()

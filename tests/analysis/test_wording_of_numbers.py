"""Numbers in sentences: digits that matter, no infinities and no words of a computer."""

from __future__ import annotations

import math

import pytest

from harness.analysis.wording import count, exp, figure, interval, where


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.3333, "2.33"),
        (1.0041, "1.004"),
        (0.9979, "0.998"),
        (0.012345, "0.0123"),
        (12345.6, "12,346"),
        (123.4, "123"),
        (math.inf, "infinity"),
    ],
)
def test_a_figure(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (2.1, 2.5, "2.1 to 2.5 ×"),
        (0.0, math.inf, "unbounded"),
        (0.995, 1.012, "0.995 to 1.012 ×"),
        (1.2, math.inf, "1.2 to infinity ×"),
    ],
)
def test_an_interval(low: float, high: float, text: str) -> None:
    assert interval(low, high) == text


def test_counts_and_places() -> None:
    assert [count(1, "round"), count(2, "round"), count(1000, "trial")] == [
        "1 round",
        "2 rounds",
        "1,000 trials",
    ]
    assert where({"new_tokens": "64", "batch": "2"}) == " at new tokens 64, batch 2"
    assert where({}) == ""


def test_the_exponential_of_a_log_ratio_never_overflows() -> None:
    assert exp(1000.0) == math.inf
    assert exp(-math.inf) == 0.0
    assert exp(0.0) == 1.0

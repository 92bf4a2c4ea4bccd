"""The rule for a steady state."""

import math

import pytest

from harness.statistics import steady


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
    assert steady(seconds, window=3, tolerance=0.05) is expected


def test_a_unit_twice_as_long_is_as_steady() -> None:
    seconds = [1.0, 0.55, 0.52, 0.5]
    for factor in (1e-6, 1.0, 1e6):
        assert steady([factor * value for value in seconds], window=3, tolerance=0.11)
        assert not steady([factor * value for value in seconds], window=3, tolerance=0.09)

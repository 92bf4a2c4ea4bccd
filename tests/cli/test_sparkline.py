"""A curve in one line of text."""

from __future__ import annotations

import math

from harness.cli.sparkline import sparkline


def test_a_curve_goes_from_its_lowest_to_its_highest_value() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
    assert sparkline([7.0, 0.0], 20) == "█▁"


def test_many_values_share_a_bar_that_shows_their_mean() -> None:
    assert sparkline([0, 0, 4, 4, 8, 8], 3) == "▁▅█"
    assert len(sparkline([float(value) for value in range(1001)], 40)) == 40


def test_equal_infinite_and_missing_values() -> None:
    assert sparkline([3.0, 3.0], 9) == "▁▁"
    assert sparkline([1.0, math.nan, math.inf, 2.0], 4) == "▁  █"
    assert sparkline([math.nan], 4) == " "
    assert sparkline([], 4) == ""

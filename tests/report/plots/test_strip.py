"""The axis of the first screen: what it covers, and where each number is."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from harness.report.plots.strip import MOST_TICKS, Axis, DrawnEffect, axis_of

FASTER = DrawnEffect(effect=2.0, low=1.8, high=2.2, margin=0.05, claimed=4.0, region=(3.2, 5.0))


def axis(*rows: DrawnEffect, differences: bool = False) -> Axis:
    made = axis_of(rows, "differences" if differences else "ratios")
    assert made is not None
    return made


def test_ratios_are_on_a_logarithmic_axis() -> None:
    strip = axis(FASTER).strip(FASTER)
    assert strip.effect is not None
    assert strip.claimed is not None
    assert strip.claimed - strip.effect == pytest.approx(strip.effect - strip.neutral, abs=0.02)  # × 2 twice


def test_everything_that_is_stated_is_on_the_axis() -> None:
    strip = axis(FASTER).strip(FASTER)
    assert strip.margin is not None
    assert strip.region is not None
    assert strip.interval is not None
    middle = (strip.margin.left + strip.margin.right) / 2
    assert middle == pytest.approx(strip.neutral, abs=0.02)  # ÷ 1.05 to × 1.05
    assert 0 < strip.margin.left < strip.interval.left < strip.interval.right < strip.region.left
    assert strip.region.right < 100
    assert (strip.interval.open_left, strip.interval.open_right) == (False, False)


@pytest.mark.parametrize(("low", "high"), [(0.0, math.inf), (1e-9, 1e9)])
def test_a_very_wide_interval_ends_at_the_edges(low: float, high: float) -> None:
    wide = replace(FASTER, low=low, high=high)
    both = axis(FASTER, wide)
    assert both == axis(FASTER)
    interval = both.strip(wide).interval
    assert interval is not None
    assert (interval.left, interval.right) == (0.0, 100.0)
    assert interval.open_left
    assert interval.open_right


def test_an_interval_that_is_unknown_is_not_drawn() -> None:
    unknown = replace(FASTER, low=math.nan, high=math.nan)
    assert axis(unknown).strip(unknown).interval is None


@pytest.mark.parametrize("effect", [0.0, math.inf, math.nan])
def test_an_effect_that_has_no_position_has_no_dot(effect: float) -> None:
    lost = replace(FASTER, effect=effect)
    assert axis_of([lost], "ratios") is None
    assert axis(FASTER, lost).strip(lost).effect is None


def test_differences_are_on_a_linear_axis_around_zero() -> None:
    row = DrawnEffect(effect=-2.0, low=-3.0, high=-1.0, margin=0.5)
    made = axis(row, differences=True)
    strip = made.strip(row)
    assert strip.margin is not None
    assert strip.margin.right - strip.neutral == pytest.approx(strip.neutral - strip.margin.left, abs=0.02)
    assert (strip.neutral, "0") in made.ticks


@pytest.mark.parametrize("effect", [0.001, 0.97, 1.003, 1.4, 9.0, 1e6])
def test_ticks_are_few_apart_and_have_that_of_no_difference(effect: float) -> None:
    made = axis(DrawnEffect(effect=effect, low=effect * 0.9, high=effect * 1.1, margin=0.05))
    positions = [at for at, _ in made.ticks]
    assert 2 <= len(positions) <= MOST_TICKS
    assert all(right - left >= 10 for left, right in pairwise(positions))
    assert "1" in {text for _, text in made.ticks}


def test_an_axis_without_any_width_is_drawn() -> None:
    same = DrawnEffect(effect=0.0, low=0.0, high=0.0, margin=0.0)
    assert axis(same, differences=True).strip(same).effect == 50.0

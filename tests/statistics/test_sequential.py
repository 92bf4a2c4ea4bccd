"""Stopping on the width of the interval: blind to the effect, and of the size that it says."""

import math

import numpy as np
import pytest

from harness.statistics import enough, paired_estimate
from harness.statistics.signed_rank import Floats, signed_rank_interval, signed_rank_p

INF = math.inf


def of(values: Floats | list[float]) -> dict[int, float]:
    return {place: float(value) for place, value in enumerate(values)}


def test_enough_is_a_width_reached() -> None:
    pairs = of(np.random.default_rng(1).normal(0, 0.02, 12))
    interval = paired_estimate(pairs).ci95
    assert enough(pairs, interval.high - interval.low)
    assert not enough(pairs, (interval.high - interval.low) * 0.999)


def test_ten_rounds_are_run_whatever_the_width() -> None:
    assert not enough(of([0.1] * 9), 1e9)
    assert enough(of([0.1] * 10), 1e-9)
    assert not enough({}, 1.0)


@pytest.mark.parametrize("effect", [-5.0, -0.5, 0.25, 8.0])
def test_the_effect_itself_does_not_matter(effect: float) -> None:
    values = np.round(np.random.default_rng(2).normal(0, 1, 40) * 64) / 64  # exact in binary
    for width in (0.5, 0.8, 1.2):
        stops = [enough(of(values[:n]), width) for n in range(8, 41)]
        assert [enough(of(values[:n] + effect), width) for n in range(8, 41)] == stops
        assert [enough(of(-values[:n]), width) for n in range(8, 41)] == stops


def test_more_measurements_in_a_round_are_not_more_rounds() -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(0, 0.1, 10)
    widths = []
    for iterations in (10, 1000):
        medians = [float(np.median(centre + rng.normal(0, 0.01, iterations))) for centre in centres]
        interval = paired_estimate(of(medians)).ci95
        widths.append(interval.high - interval.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_diverged_pairs_never_count_as_narrow() -> None:
    assert not enough(of([INF] * 12), 1e9)
    assert not enough(of([0.0] * 6 + [INF] * 6), 1e9)
    assert enough(of([0.0] * 14 + [INF]), 0.1)  # one miss among fifteen lies beyond the interval


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan])
def test_senseless_widths_are_refused(width: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        enough(of([0.1] * 12), width)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="pair 11 is NaN"):
        enough(of([0.1] * 11 + [math.nan]), 1.0)


@pytest.mark.parametrize("sample", ["normal", "heavy-tailed"])
def test_stopping_on_the_width_keeps_the_size_and_stopping_on_significance_does_not(sample: str) -> None:
    rng = np.random.default_rng(4)
    studies, most = 700, 40
    wide, significant = 0, 0
    for _ in range(studies):
        values = rng.normal(size=most) if sample == "normal" else rng.standard_t(3, size=most)
        stop = next(n for n in range(10, most + 1) if n == most or enough(of(values[:n]), 0.9))
        wide += signed_rank_interval(values[:stop], level=0.95).excludes(0)
        significant += any(signed_rank_p(values[:n]) <= 0.05 for n in range(10, most + 1))
    assert wide / studies <= 0.069
    assert significant / studies >= 0.12

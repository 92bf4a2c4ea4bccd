"""Order statistics of Walsh averages: selected, they are those of the sorted averages, to the last bit."""

from __future__ import annotations

import math
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import walsh
from harness.statistics.rank_sums import Floats
from harness.statistics.walsh import WalshAverages, walsh_averages

INF, NAN = math.inf, math.nan
floats = st.floats(allow_nan=True, allow_infinity=True)
lattice = st.integers(-6, 6).map(lambda value: value / 10)  # not exact in binary, with many ties


def sorted_with(values: Floats, end: float) -> Floats:
    averages = walsh_averages(values)
    return np.sort(np.where(np.isnan(averages), end, averages))


def plain_median(values: Floats) -> float:
    known = walsh_averages(values)
    known = known[~np.isnan(known)]
    low, high = known[(known.size - 1) // 2], known[known.size // 2]
    if low == high:
        return float(low)
    return 0.0 if (low, high) == (-INF, INF) else float(low / 2 + high / 2)


@pytest.fixture(params=["sorted", "selected"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "selected":
        monkeypatch.setattr(walsh, "MOST_SORTED", 0)
        monkeypatch.setattr(walsh, "_ENUMERATED", 0)


@pytest.mark.usefixtures("way")
def test_every_order_statistic_is_that_of_the_sorted_averages() -> None:
    @settings(max_examples=120)
    @given(st.lists(st.one_of(floats, lattice, st.sampled_from([INF, -INF, NAN])), min_size=1, max_size=12))
    def agrees(drawn: list[float]) -> None:
        values = np.array(drawn)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            averages = WalshAverages.of_values(values)
            size = values.size * (values.size + 1) // 2
            lowest = [averages.smallest(k) for k in range(1, size + 1)]
            highest = [averages.largest(k) for k in range(1, size + 1)]
            median, sides = averages.median(), averages.above_and_below_zero()
        assert lowest == sorted_with(values, -INF).tolist()
        assert highest[::-1] == sorted_with(values, INF).tolist()
        plain = walsh_averages(values)
        assert sides == ((plain > 0).sum(), (plain < 0).sum())
        if np.isnan(plain).all():
            assert math.isnan(median)
        else:
            assert median == plain_median(values)

    agrees()


@pytest.mark.parametrize("sample", ["normal", "ties", "equal", "heavy", "two clusters", "sorted"])
def test_a_selection_among_many_is_that_of_the_sorted_averages(sample: str) -> None:
    rng, n = np.random.default_rng(7), walsh.MOST_SORTED + 151
    values = {
        "normal": rng.normal(size=n),
        "ties": np.round(rng.normal(size=n), 1),
        "equal": np.full(n, 0.1),
        "heavy": rng.standard_cauchy(n) ** 7,
        "two clusters": np.where(rng.random(n) < 0.5, 1e300, -1e-300) * rng.random(n),
        "sorted": np.arange(n) / 3,
    }[sample]
    averages, expected = WalshAverages.of_values(values), walsh_averages(values)
    for k in (1, 2, 3 * n, expected.size // 4, expected.size // 2, expected.size - 1, expected.size):
        assert averages.smallest(k) == expected[k - 1]
        assert averages.largest(k) == expected[-k]
    assert averages.median() == plain_median(values)


@pytest.mark.parametrize("decimals", [16, 1])
def test_ten_thousand_values_need_little_memory(decimals: int) -> None:
    """All averages would take 400 MB. They are counted here in pieces."""
    n = 10_000
    values = np.round(np.random.default_rng(1).normal(size=n), decimals)
    tracemalloc.start()
    averages = WalshAverages.of_values(values)
    k = 20_000_000
    low, high, middle = averages.smallest(k), averages.largest(k), averages.median()
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    halves = np.sort(values) / 2
    for value, rank in ((low, k), (high, n * (n + 1) // 2 + 1 - k)):
        below = up_to = 0
        for start in range(0, n, 200):
            sums = halves[start : start + 200, None] + halves
            upper = np.arange(n) >= np.arange(start, start + 200)[:, None]
            below += int(np.count_nonzero((sums < value) & upper))
            up_to += int(np.count_nonzero((sums <= value) & upper))
        assert below < rank <= up_to
    assert low <= middle <= high

"""Families, rounds, detectable effects and the rule to stop, against known figures and simulation."""

import math

import numpy as np
import pytest

from harness.statistics import (
    holm,
    holm_levels,
    largest_family,
    narrow_enough,
    paired_estimate,
    rounds_needed,
    rounds_with_losses,
    rounds_with_voids,
    smallest_detectable,
)
from harness.statistics.rank_sums import Floats, rejecting_sums, two_sided_p
from harness.statistics.signed_rank import signed_rank_interval, signed_rank_p

INF = math.inf


def by_round(values: Floats | list[float]) -> dict[int, float]:
    return {number: float(value) for number, value in enumerate(values)}


def test_holm_of_a_hand_worked_family() -> None:
    adjusted = holm({"d": 0.04, "a": 0.01, "b": 0.015, "c": 0.03})
    assert adjusted == pytest.approx({"d": 0.06, "a": 0.04, "b": 0.045, "c": 0.06})
    assert list(adjusted) == ["d", "a", "b", "c"]


def test_holm_never_exceeds_one_nor_changes_a_family_of_one() -> None:
    assert holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": 0.02}) == {"a": 0.02}
    assert holm({}) == {}


def test_holm_keeps_the_familywise_error() -> None:
    rng = np.random.default_rng(1)
    families = [holm({str(i): p for i, p in enumerate(rng.uniform(size=6))}) for _ in range(2000)]
    assert sum(min(family.values()) <= 0.05 for family in families) / 2000 == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("n", "family"), [(5, 0), (6, 1), (7, 3), (8, 6), (9, 12), (10, 25)])
def test_largest_family(n: int, family: int) -> None:
    assert largest_family(n) == family
    best = 2.0 ** (1 - n)
    assert family == 0 or min(holm({str(i): best if i == 0 else 1.0 for i in range(family)}).values()) <= 0.05
    assert min(holm({str(i): best if i == 0 else 1.0 for i in range(family + 1)}).values()) > 0.05


def test_the_largest_family_of_many_pairs_is_a_number() -> None:
    """2^(1 − n) is 0 in floating point from 1,076 pairs on."""
    assert largest_family(1200) == largest_family(1000) > 10**299


@pytest.mark.parametrize(("cv", "rounds"), [(0.02, 10), (0.05, 19), (0.20, 303)])
def test_rounds_needed_for_a_coefficient_of_variation(cv: float, rounds: int) -> None:
    assert rounds_needed(math.sqrt(2) * cv, 0.05) == rounds  # a ratio has twice the variance of either side


def test_rounds_needed_make_equal_arms_equivalent() -> None:
    rng = np.random.default_rng(6)
    sigma, margin = 0.07, 0.05
    n = rounds_needed(sigma, margin)
    assert n == 19
    intervals = [paired_estimate(dict(enumerate(rng.normal(0, sigma, n)))).ci90 for _ in range(600)]
    bound = math.log1p(margin)
    inside = [-bound < interval.low and interval.high < bound for interval in intervals]
    assert 0.74 <= np.mean(inside) <= 0.92


@pytest.mark.parametrize(
    ("n", "power"), [(6, 0.73), (7, 0.80), (8, 0.79), (10, 0.80), (20, 0.80), (40, 0.80)]
)
def test_smallest_detectable_effect_is_detected_four_times_in_five(n: int, power: float) -> None:
    sigma, studies = 0.3, 4000
    values = np.random.default_rng(n).normal(smallest_detectable(n, sigma), sigma, (studies, n))
    i, j = np.triu_indices(n)
    positive = np.count_nonzero(values[:, i] + values[:, j] > 0, axis=1)
    p = np.array([two_sided_p(n, t) for t in np.minimum(positive, i.size - positive).tolist()])
    assert np.mean(p <= 0.05) == pytest.approx(power, abs=0.03)


def test_too_few_pairs_detect_nothing() -> None:
    assert smallest_detectable(5, 0.1) == math.inf
    assert smallest_detectable(12, 0.2) == pytest.approx(2 * smallest_detectable(12, 0.1))


@pytest.mark.parametrize(
    ("sigma", "margin"),
    [(-0.1, 0.05), (0.1, 0.0), (INF, 0.05), (math.nan, 0.05), (0.1, INF), (0.1, math.nan)],
)
def test_senseless_sizes_are_refused(sigma: float, margin: float) -> None:
    with pytest.raises(ValueError, match="needs sigma"):
        rounds_needed(sigma, margin)


def test_narrow_enough_is_a_width_reached() -> None:
    pairs = by_round(np.random.default_rng(1).normal(0, 0.02, 12))
    interval = paired_estimate(pairs).ci95
    assert narrow_enough(pairs, interval.high - interval.low)
    assert not narrow_enough(pairs, (interval.high - interval.low) * 0.999)


def test_ten_rounds_are_run_whatever_the_width() -> None:
    assert not narrow_enough(by_round([0.1] * 9), 1e9)
    assert narrow_enough(by_round([0.1] * 10), 1e-9)
    assert not narrow_enough({}, 1.0)


@pytest.mark.parametrize("effect", [-5.0, -0.5, 0.25, 8.0])
def test_the_effect_itself_does_not_matter(effect: float) -> None:
    values = np.round(np.random.default_rng(2).normal(0, 1, 40) * 64) / 64  # exact in binary
    for width in (0.5, 0.8, 1.2):
        stops = [narrow_enough(by_round(values[:n]), width) for n in range(8, 41)]
        assert [narrow_enough(by_round(values[:n] + effect), width) for n in range(8, 41)] == stops
        assert [narrow_enough(by_round(-values[:n]), width) for n in range(8, 41)] == stops


def test_more_measurements_in_a_round_are_not_more_rounds() -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(0, 0.1, 10)
    widths = []
    for iterations in (10, 1000):
        medians = [float(np.median(centre + rng.normal(0, 0.01, iterations))) for centre in centres]
        interval = paired_estimate(by_round(medians)).ci95
        widths.append(interval.high - interval.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_diverged_pairs_never_count_as_narrow() -> None:
    assert not narrow_enough(by_round([INF] * 12), 1e9)
    assert not narrow_enough(by_round([0.0] * 6 + [INF] * 6), 1e9)
    assert narrow_enough(by_round([0.0] * 14 + [INF]), 0.1)  # one miss among fifteen lies beyond the interval


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan])
def test_senseless_widths_are_refused(width: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        narrow_enough(by_round([0.1] * 12), width)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="pair 11 is NaN"):
        narrow_enough(by_round([0.1] * 11 + [math.nan]), 1.0)


@pytest.mark.parametrize("sample", ["normal", "heavy-tailed"])
def test_stopping_on_the_width_keeps_the_size_and_stopping_on_significance_does_not(sample: str) -> None:
    rng = np.random.default_rng(4)
    studies, most = 700, 40
    wide, significant = 0, 0
    for _ in range(studies):
        values = rng.normal(size=most) if sample == "normal" else rng.standard_t(3, size=most)
        stop = next(n for n in range(10, most + 1) if n == most or narrow_enough(by_round(values[:n]), 0.9))
        wide += signed_rank_interval(values[:stop], level=0.95).excludes(0)
        significant += any(signed_rank_p(values[:n]) <= 0.05 for n in range(10, most + 1))
    assert wide / studies <= 0.069
    assert significant / studies >= 0.12


def test_the_level_of_holm_agrees_with_its_adjusted_p() -> None:
    random = np.random.default_rng(4)
    for size in (1, 2, 5, 9):
        for _ in range(50):
            family = {str(index): float(p) for index, p in enumerate(random.beta(0.3, 2, size))}
            adjusted, levels = holm(family), holm_levels(family)
            assert all((adjusted[name] <= 0.05) == (family[name] <= levels[name]) for name in family)
    assert holm_levels({"a": 0.04}) == {"a": 0.05}
    assert holm_levels({"a": 0.5, "b": 0.01, "c": 0.01}) == {"a": 0.05, "b": 0.05 / 3, "c": 0.025}


def test_lost_rounds_are_made_up_for_as_long_as_the_interval_stays_bounded() -> None:
    assert [rounds_with_losses(10, lost) for lost in range(5)] == [10, 12, 17, 22, 26]
    assert rounds_with_losses(10, 30) == 30
    assert rounds_with_losses(1, 1) == 3
    for lost in (1, 2, 3):
        values = [math.nan] * lost + [0.1] * (rounds_with_losses(10, lost) - lost)
        assert math.isfinite(paired_estimate(dict(enumerate(values))).ci95.low)
        fewer = [math.nan] * lost + [0.1] * (rounds_with_losses(10, lost) - lost - 1)
        assert math.isinf(paired_estimate(dict(enumerate(fewer))).ci95.low) or lost == 1


def test_void_rounds_are_replaced_until_they_are_a_fifth_of_all() -> None:
    assert [rounds_with_voids(10, void) for void in range(5)] == [10, 11, 12, 12, 12]
    assert [rounds_with_voids(rounds, rounds) for rounds in (1, 3, 4, 6, 20)] == [1, 3, 5, 7, 25]


@pytest.mark.parametrize("n", [0, 1, 2, 5, 6, 1000, 1001, 1070, 1100, 10_000, 30_000])
def test_designs_of_any_size_have_figures(n: int) -> None:
    detectable, family = smallest_detectable(n, 0.05), largest_family(n)
    assert (detectable < INF) == (family >= 1) == (n >= 6)
    if n > 100:  # about (z₀.₉₇₅ + z₀.₈) σ / √(0.955 n)
        assert detectable == pytest.approx(2.8016 * 0.05 / math.sqrt(0.955 * n), rel=3 / n)
    assert holm_levels({"a": 1e-300, "b": 1.0}) == {"a": 0.025, "b": 0.05}
    assert rounds_with_losses(n, 0) == n
    assert n <= rounds_with_losses(n, 1) <= 3 * n or n == 0


def test_rounds_of_a_scatter_or_margin_that_floats_cannot_square() -> None:
    assert rounds_needed(1e200, 0.05) == rounds_needed(1.0, 1e-300) == 10**18
    assert rounds_needed(0.0, 1e-300) == rounds_needed(1e-300, 0.05) == 10


def test_the_rounds_for_losses_are_the_fewest_that_keep_the_interval_bounded() -> None:
    def one_by_one(rounds: int, lost: int) -> int:
        total = rounds + 2 * lost
        while total < 3 * rounds and lost:
            unknown = lost * total - lost * (lost - 1) // 2
            if unknown < rejecting_sums(total, 0.05):
                break
            total += 1
        return min(total, 3 * rounds)

    for rounds in range(1, 40):
        for lost in range(rounds + 2):
            assert rounds_with_losses(rounds, lost) == one_by_one(rounds, lost)
    assert rounds_with_losses(340, 170) == one_by_one(340, 170)
    assert rounds_with_losses(10_000, 100) == 10_200


@pytest.mark.parametrize("members", [0, 1, 20_000])
def test_families_of_any_size_are_corrected(members: int) -> None:
    p_values = {str(index): p for index, p in enumerate(np.random.default_rng(2).random(members).tolist())}
    p_values |= {"least": 2.0**-999, "one": 1.0}
    adjusted, levels = holm(p_values), holm_levels(p_values)
    assert adjusted["least"] == (members + 2) * 2.0**-999
    assert levels["least"] == 0.05 / (members + 2)
    assert adjusted["one"] == 1.0
    assert all(0 < p <= 1 for p in adjusted.values())

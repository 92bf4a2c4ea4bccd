"""Paired comparison of an arm with its baseline: one value a pair, a pair being a timing round or a seed.

The pairs come as a mapping from the round or seed to its one value, so that repeated measurements inside a
round cannot be taken for replicates: summarise them first (docs/validity.md, "Likely bugs of the
statistics").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.statistics.rank_sums import LEAST_P, Floats
from harness.statistics.signed_rank import Interval, hodges_lehmann, signed_rank_interval, signed_rank_p

Pairs = Mapping[int, float]

_EXACT_FLIPS = 40
_SAMPLED_FLIPS = 99_999
_MOST_SIGNS = 10**8
_SIGNS_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True)
class PairedEstimate:
    """The estimated centre of n paired differences. Verdicts use `ci95`, `ci90` and `p`, never `t95`."""

    n: int
    estimate: float
    ci95: Interval
    ci90: Interval
    p: float
    t95: Interval


@dataclass(frozen=True, slots=True)
class McNemar:
    """n pairs, counted by the arms in which the event happened, and the two-sided exact p of "equally
    often".
    """

    n: int
    both: int
    only_arm: int
    only_baseline: int
    neither: int
    p: float


def differences(arm: Pairs, baseline: Pairs) -> dict[int, float]:
    """arm − baseline for each pair; two equal infinities (both diverged) are a tie, 0.

    Raises ValueError if a pair lacks one side, because a lost row must not make an interval narrower.
    """
    check_same_pairs(arm, baseline)
    return {key: _minus(arm[key], baseline[key]) for key in arm}


def log_ratios(arm: Pairs, baseline: Pairs) -> dict[int, float]:
    """ln(arm / baseline) for each pair of positive values, where +inf is a miss.

    Raises ValueError if a pair lacks one side or a value is not positive.
    """
    check_same_pairs(arm, baseline)
    for name, side in (("arm", arm), ("baseline", baseline)):
        for key, value in side.items():
            if not value > 0:
                raise ValueError(f"a ratio needs positive values, but pair {key} of the {name} is {value}")
    return {key: _minus(math.log(arm[key]), math.log(baseline[key])) for key in arm}


def both_infinite(arm: Pairs, baseline: Pairs) -> tuple[int, ...]:
    """The pairs in which both sides are infinite: which of them is worse, and by how much, is unknown."""
    return tuple(key for key, value in sorted(arm.items()) if math.isinf(value) and value == baseline[key])


def safe_exp(value: float) -> float:
    """e to the power of `value`; infinite if a float would overflow."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def paired_estimate(pairs: Pairs) -> PairedEstimate:
    """Hodges-Lehmann estimate of paired differences with exact signed-rank intervals and p.

    Nothing is known about a pair whose difference is NaN. It counts as −∞ for the lower end of an interval
    and as +∞ for the upper end, and against both sides of a test, so it supports no statement. Swapping the
    arms (negating every difference) mirrors the result exactly. Raises ValueError if there are no pairs or
    all are NaN.
    """
    values = as_values(pairs, allow_unknown=True)
    return PairedEstimate(
        n=values.size,
        estimate=hodges_lehmann(values),
        ci95=signed_rank_interval(values, level=0.95),
        ci90=signed_rank_interval(values, level=0.90),
        p=signed_rank_p(values),
        t95=t_interval(pairs, level=0.95),
    )


def t_interval(pairs: Pairs, *, level: float) -> Interval:
    """Student's interval for the mean difference; unbounded for one pair, any infinity or any NaN, and for
    values whose sum is infinite. A diagnostic.
    """
    values = as_values(pairs, allow_unknown=True)
    n = values.size
    if n < 2 or not np.isfinite(values).all():
        return Interval(-math.inf, math.inf, level)
    from scipy.special import stdtrit  # takes half a second, which most commands do not need

    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.mean(values))
        half = float(stdtrit(n - 1, (1 + level) / 2)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    if not math.isfinite(mean) or not math.isfinite(half):
        return Interval(-math.inf, math.inf, level)
    return Interval(mean - half, mean + half, level)


def sign_flip_p(pairs: Pairs, *, seed: int = 0) -> float:
    """Two-sided p of the mean difference among all 2ⁿ choices of signs (Fisher 1935, §21).

    Exact up to 40 pairs (sums of two halves, matched by sorting). With more pairs it is the Monte Carlo p of
    99,999 seeded flips, which is also a valid test; beyond 1,000 pairs of fewer, 9,999 for 10,000 pairs.
    Infinities weigh more than all finite values together.
    """
    values = _tame_infinities(_scaled(as_values(pairs)))
    observed = abs(float(np.sum(values)))
    least = observed - 1e-9 * float(np.sum(np.abs(values)))  # sums equal but for rounding count as equal
    if values.size > _EXACT_FLIPS:
        return _sampled_flips_p(values, least, seed)
    half = values.size // 2
    left, right = _signed_sums(values[:half]), np.sort(_signed_sums(values[half:]))
    at_least = right.size - np.searchsorted(right, least - left, side="left")
    return min(1.0, 2 * int(np.sum(at_least)) / 2.0**values.size)


def _sampled_flips_p(values: Floats, least: float, seed: int) -> float:
    """The share of drawn flips whose sum is at least `least`. The observed signs count as one of them."""
    rng = np.random.default_rng(seed)
    flips = min(_SAMPLED_FLIPS, max(999, _MOST_SIGNS // values.size - 1))
    at_once = 4 * max(1, _SIGNS_AT_ONCE // values.size // 4)
    extreme = 0
    for first in range(0, flips, at_once):
        size = (min(at_once, flips - first), values.size)
        signs = rng.integers(0, 2, size, dtype=np.int8) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ values) >= least))
    return (1 + extreme) / (1 + flips)


def mcnemar(arm: Mapping[int, bool], baseline: Mapping[int, bool]) -> McNemar:
    """McNemar's test with its exact binomial p (McNemar 1947; Agresti 2013, §11.1) on one outcome per seed.

    Only pairs in which the arms differ carry information: given their number d, the arm's share is
    Binomial(d, ½). Raises ValueError if there are no pairs or if a pair lacks one side.
    """
    check_same_pairs(arm, baseline)
    if not arm:
        raise ValueError("there are no pairs to compare")
    only_arm = sum(arm[key] and not baseline[key] for key in arm)
    only_baseline = sum(baseline[key] and not arm[key] for key in arm)
    both = sum(arm[key] and baseline[key] for key in arm)
    differ, fewer = only_arm + only_baseline, min(only_arm, only_baseline)
    tail = term = 1
    for k in range(fewer):
        term = term * (differ - k) // (k + 1)  # the next binomial coefficient
        tail += term
    return McNemar(
        n=len(arm),
        both=both,
        only_arm=only_arm,
        only_baseline=only_baseline,
        neither=len(arm) - both - differ,
        p=min(1.0, max(2 * tail / 2**differ, LEAST_P)),
    )


def as_values(pairs: Pairs, *, allow_unknown: bool = False) -> Floats:
    """The values of the pairs, (n,). Raises ValueError if there are none or one is NaN; with `allow_unknown`,
    only if all are NaN.
    """
    values = np.fromiter(pairs.values(), dtype=np.float64, count=len(pairs))
    if values.size == 0:
        raise ValueError("there are no pairs to compare")
    unknown = np.isnan(values)
    if unknown.all() if allow_unknown else unknown.any():
        bad = next(key for key, value in pairs.items() if math.isnan(value))
        raise ValueError(f"the value of pair {bad} is NaN; give a training that diverged as inf")
    return values


def check_same_pairs(arm: Mapping[int, object], baseline: Mapping[int, object]) -> None:
    """Raises ValueError with their names if pairs lack one side."""
    alone = sorted(arm.keys() ^ baseline.keys())
    if alone:
        raise ValueError(f"pairs with one side missing: {', '.join(map(str, alone))}")


def _minus(a: float, b: float) -> float:
    return 0.0 if a == b else a - b


def _tame_infinities(values: Floats) -> Floats:
    finite = np.isfinite(values)
    if finite.all():
        return values
    return np.where(finite, values, np.sign(values) * (1 + 2 * np.sum(np.abs(values[finite]))))


def _scaled(values: Floats) -> Floats:
    """The values, divided by a power of two where their sum would overflow."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    return values / 2.0**600 if largest > 2.0**900 else values


def _signed_sums(values: Floats) -> Floats:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums

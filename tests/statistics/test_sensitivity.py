"""Ranking a factor among the most sensitive: the rule at its borders, and how often it errs."""

import math

import numpy as np
import pytest

from harness.statistics import most_sensitive, worst_rise

SEEDS = range(10)


def rises(centres: dict[str, float], noise: float = 0.01, seed: int = 0) -> dict[str, dict[int, float]]:
    rng = np.random.default_rng(seed)
    return {
        name: {s: centre + float(e) for s, e in zip(SEEDS, rng.normal(0, noise, len(SEEDS)), strict=True)}
        for name, centre in centres.items()
    }


def test_the_rise_is_that_of_the_worse_level() -> None:
    default = {1: 2.0, 2: 2.0, 3: 2.0, 4: math.inf, 5: 2.0}
    lower = {1: 2.2, 2: 2.0, 3: 1.9, 4: math.inf, 5: math.inf}
    higher = {1: 2.1, 2: 4.0, 3: 1.8, 4: 3.0, 5: 2.0}
    rise = worst_rise(lower, higher, default)
    assert rise[1] == pytest.approx(math.log(1.1))
    assert rise[2] == pytest.approx(math.log(2))
    assert rise[3] == pytest.approx(math.log(0.95))  # both better: a fall
    assert (rise[4], rise[5]) == (0.0, math.inf)
    with pytest.raises(ValueError, match="one side missing: 5"):
        worst_rise({1: 1.0}, {1: 1.0}, {1: 1.0, 5: 1.0})


@pytest.mark.parametrize(
    ("above", "level", "below", "verdict"),
    [  # six factors with the one in question: two places, so four must be smaller, or two larger
        (0, 0, 5, "confirmed"),
        (1, 0, 4, "confirmed"),
        (0, 1, 4, "confirmed"),
        (2, 0, 3, "refuted"),
        (2, 3, 0, "refuted"),
        (5, 0, 0, "refuted"),
        (1, 1, 3, "undecided"),
        (0, 5, 0, "undecided"),
    ],
)
def test_verdict_of_six_factors(above: int, level: int, below: int, verdict: str) -> None:
    centres = {"std": 0.5}
    centres |= {f"above {i}": 0.9 for i in range(above)}
    centres |= {f"below {i}": 0.1 for i in range(below)}
    data = rises(centres)
    for i in range(level):  # as often above as below, by as much
        data[f"level {i}"] = {s: data["std"][s] + (0.01 if s % 2 else -0.01) for s in SEEDS}
    result = most_sensitive(data, "std")
    assert (result.top, len(result.larger), len(result.smaller)) == (2, above, below)
    assert result.verdict == verdict


@pytest.mark.parametrize(("factors", "top"), [(5, 2), (6, 2), (7, 3), (9, 3), (10, 4)])
def test_a_third_of_the_places_count(factors: int, top: int) -> None:
    result = most_sensitive(rises({str(i): 0.1 * i for i in range(factors)}), "0")
    assert result.top == top
    assert result.verdict == "refuted"


def test_holm_is_taken_over_all_rivals() -> None:
    data = {
        name: {s: values[s] for s in range(6)}
        for name, values in rises({str(i): 0.1 * i for i in range(6)}).items()
    }
    result = most_sensitive(data, "5")  # six pairs reach p = 0.031, five times that is no finding
    assert result.rivals["0"].difference.p == 2 / 2**6
    assert result.rivals["0"].p_adjusted == 5 * 2 / 2**6
    assert result.verdict == "undecided"


def test_divergence_is_the_greatest_sensitivity() -> None:
    data = rises({"std": 0.1, "a": 0.01, "b": 0.01, "c": 0.01, "lr": 0.05})
    data["lr"] = dict.fromkeys(SEEDS, math.inf)
    assert most_sensitive(data, "lr").verdict == "confirmed"
    assert most_sensitive(data, "std").larger == ("lr",)
    data["a"] = data["lr"]  # both diverge on every seed: a tie
    assert set(most_sensitive(data, "lr").smaller) == {"std", "b", "c"}


def test_equal_factors_are_seldom_ranked() -> None:
    verdicts = [
        most_sensitive(rises(dict.fromkeys("abcdef", 0.1), seed=seed), "a").verdict for seed in range(300)
    ]
    assert np.mean([verdict != "undecided" for verdict in verdicts]) <= 0.05


@pytest.mark.parametrize(
    ("names", "factor", "message"),
    [
        ("abcd", "a", "at least 5 factors, but there are 4"),
        ("abcde", "z", "no rises of 'z', only of a, b, c, d, e"),
    ],
)
def test_too_few_or_unknown_factors_are_refused(names: str, factor: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        most_sensitive(rises(dict.fromkeys(names, 0.1)), factor)


def test_factors_on_other_seeds_are_refused() -> None:
    data = rises(dict.fromkeys("abcde", 0.1))
    del data["c"][4]
    with pytest.raises(ValueError, match="one side missing: 4"):
        most_sensitive(data, "a")

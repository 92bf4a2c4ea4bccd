"""What the speed of the machine adds is taken out of the pairs, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from harness.gate.adjusted import STEEPEST, adjusted_pairs, slope_within_versions, timed_rounds

SPEEDS = np.random.default_rng(0).normal(0.0, 0.2, size=(2, 30))
"""ln of how slow the machine was in each round of each version."""


def rounds(slope: float, effect: float, scatter: float = 0.0) -> pd.DataFrame:
    """Three rounds of pytest-benchmark in each of ten processes of both versions."""
    noise = np.random.default_rng(1).normal(0.0, scatter, size=SPEEDS.shape)
    versions = []
    for number, arm in enumerate(("version=baseline", "version=tree")):
        log = 1.0 + number * effect + slope * SPEEDS[number] + noise[number]
        columns = {
            "arm": arm,
            "round": np.arange(30) // 3,
            "trial": 100 * number + np.arange(30) // 3,
            "log": log,
            "reference": -5.0 + SPEEDS[number],
        }
        versions.append(pd.DataFrame(columns))
    return pd.concat(versions, ignore_index=True)


@pytest.mark.parametrize("slope", [0.0, 0.4, 1.0, 1.5])
def test_the_effect_is_left_however_closely_the_times_follow_the_loop(slope: float) -> None:
    table = rounds(slope, effect=0.07)
    assert slope_within_versions(table) == pytest.approx(slope, abs=1e-12)
    assert adjusted_pairs(table) == pytest.approx(dict.fromkeys(range(10), 0.07))


def test_the_slope_does_not_depend_on_the_effect() -> None:
    slopes = {round(slope_within_versions(rounds(0.8, effect, scatter=0.05)), 12) for effect in (-1, 0, 2)}
    assert len(slopes) == 1


def test_the_slope_has_bounds() -> None:
    assert slope_within_versions(rounds(-0.5, 0.0)) == 0.0
    assert slope_within_versions(rounds(1.0, 0.0).iloc[:0]) == 0.0
    assert slope_within_versions(rounds(3.0, 0.0)) == STEEPEST
    still = rounds(1.0, 0.0).assign(reference=1.0)
    assert slope_within_versions(still) == 0.0


def test_a_slow_moment_of_the_benchmark_alone_does_not_change_the_slope() -> None:
    table = rounds(1.0, 0.0)
    table["log"] += 3.0 * (table["reference"] == table["reference"].max())
    assert slope_within_versions(table) == pytest.approx(1.0, abs=0.021)


def test_pairs_are_nearer_to_the_effect_than_without_the_adjustment() -> None:
    table = rounds(1.0, effect=0.1, scatter=0.02)
    adjusted = [*adjusted_pairs(table).values()]
    raw = [*adjusted_pairs(table.assign(reference=0.0)).values()]
    assert np.std(adjusted) < np.std(raw) / 5
    assert np.mean(adjusted) == pytest.approx(0.1, abs=0.02)


def test_only_rounds_with_both_times_are_pairs() -> None:
    table = rounds(1.0, effect=0.1)
    complete = table[(table["arm"] != "version=tree") | (table["round"] > 2)]
    assert list(adjusted_pairs(complete)) == [3, 4, 5, 6, 7, 8, 9]


def test_times_and_loops_are_joined_round_by_round() -> None:
    rows = [
        ("b", "version=tree", 7, 1, 0, math.e),
        ("b", "version=tree", 7, 1, 1, 0.0),
        ("b", "version=tree", 7, 1, 2, 1.0),
        ("b_reference", "version=tree", 7, 1, 0, 1.0),
        ("b_reference", "version=tree", 7, 1, 1, 1.0),
        ("other", "version=tree", 7, 1, 2, 1.0),
    ]
    samples = pd.DataFrame(rows, columns=["metric", "arm", "trial", "round", "step", "value"])
    (row,) = timed_rounds(samples, "b", "b_reference").to_dict("records")
    assert (row["arm"], row["round"], row["log"], row["reference"]) == ("version=tree", 1, 1.0, 0.0)

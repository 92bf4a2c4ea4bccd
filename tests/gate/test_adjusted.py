"""What the speed of the machine adds is taken out of the pairs, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from harness.gate.adjusted import STEEPEST, adjusted_pairs, slopes_within_versions, timed_rounds

BOTH = ("loop", "memory")
SPEEDS = np.random.default_rng(0).normal(0.0, 0.2, size=(2, 30))
"""ln of how slow the processor was in each round of each version."""
MEMORY = np.random.default_rng(2).normal(0.0, 0.2, size=(2, 30))
"""The same for its memory."""


def rounds(slope: float, effect: float, scatter: float = 0.0, memory: float = 0.0) -> pd.DataFrame:
    """Three rounds of pytest-benchmark in each of ten processes of both versions."""
    noise = np.random.default_rng(1).normal(0.0, scatter, size=SPEEDS.shape)
    versions = []
    for number, arm in enumerate(("version=baseline", "version=tree")):
        log = 1.0 + number * effect + slope * SPEEDS[number] + memory * MEMORY[number] + noise[number]
        columns = {
            "arm": arm,
            "round": np.arange(30) // 3,
            "trial": 100 * number + np.arange(30) // 3,
            "log": log,
            "loop": -5.0 + SPEEDS[number],
            "memory": -6.0 + MEMORY[number],
        }
        versions.append(pd.DataFrame(columns))
    return pd.concat(versions, ignore_index=True)


@pytest.mark.parametrize(("slope", "memory"), [(0.0, 0.0), (0.4, 0.0), (1.0, 0.5), (0.0, 1.5)])
def test_the_effect_is_left_however_closely_the_times_follow_the_references(
    slope: float, memory: float
) -> None:
    table = rounds(slope, effect=0.07, memory=memory)
    assert slopes_within_versions(table, BOTH) == pytest.approx([slope, memory], abs=1e-12)
    assert adjusted_pairs(table, BOTH) == pytest.approx(dict.fromkeys(range(10), 0.07))


def test_one_reference_alone_is_enough() -> None:
    table = rounds(0.4, effect=0.07)
    assert slopes_within_versions(table, ["loop"]) == pytest.approx([0.4], abs=1e-12)
    assert adjusted_pairs(table, ["loop"]) == pytest.approx(dict.fromkeys(range(10), 0.07))


def test_the_slope_does_not_depend_on_the_effect() -> None:
    slopes = [slopes_within_versions(rounds(0.8, effect, scatter=0.05), BOTH) for effect in (-1, 0, 2)]
    assert slopes[1] == pytest.approx(slopes[0])
    assert slopes[2] == pytest.approx(slopes[0])


def test_the_slope_has_bounds() -> None:
    assert slopes_within_versions(rounds(-0.5, 0.0), ["loop"]) == 0.0
    assert list(slopes_within_versions(rounds(1.0, 0.0).iloc[:0], BOTH)) == [0.0, 0.0]
    assert slopes_within_versions(rounds(3.0, 0.0), ["loop"]) == STEEPEST
    still = rounds(1.0, 0.0).assign(loop=1.0, memory=1.0)
    assert list(slopes_within_versions(still, BOTH)) == [0.0, 0.0]


def test_a_slow_moment_of_the_benchmark_alone_does_not_change_the_slope() -> None:
    table = rounds(1.0, 0.0)
    table["log"] += 3.0 * (table["loop"] == table["loop"].max())
    assert slopes_within_versions(table, BOTH) == pytest.approx([1.0, 0.0], abs=0.041)


def test_pairs_are_nearer_to_the_effect_than_without_the_adjustment() -> None:
    table = rounds(1.0, effect=0.1, scatter=0.02)
    adjusted = [*adjusted_pairs(table, BOTH).values()]
    raw = [*adjusted_pairs(table.assign(loop=0.0, memory=0.0), BOTH).values()]
    assert np.std(adjusted) < np.std(raw) / 5
    assert np.mean(adjusted) == pytest.approx(0.1, abs=0.02)


def test_only_rounds_with_both_times_are_pairs() -> None:
    table = rounds(1.0, effect=0.1)
    complete = table[(table["arm"] != "version=tree") | (table["round"] > 2)]
    assert list(adjusted_pairs(complete, BOTH)) == [3, 4, 5, 6, 7, 8, 9]


def test_times_and_references_are_joined_round_by_round() -> None:
    rows = [
        ("b", "version=tree", 7, 1, 0, math.e),
        ("b", "version=tree", 7, 1, 1, 0.0),
        ("b", "version=tree", 7, 1, 2, 1.0),
        ("b_loop", "version=tree", 7, 1, 0, 1.0),
        ("b_loop", "version=tree", 7, 1, 1, 1.0),
        ("other", "version=tree", 7, 1, 2, 1.0),
    ]
    samples = pd.DataFrame(rows, columns=["metric", "arm", "trial", "round", "step", "value"])
    (row,) = timed_rounds(samples, "b", {"loop": "b_loop"}).to_dict("records")
    assert (row["arm"], row["round"], row["log"], row["loop"]) == ("version=tree", 1, 1.0, 0.0)

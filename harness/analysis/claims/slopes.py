"""Values along the levels of a condition, for claims about their slope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean

from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.wording import words


def numeric_levels(loaded: LoadedStudy, over: str) -> list[float]:
    """The levels of the condition that were measured, from low to high."""
    return sorted({float(c.names[over]) for c in loaded.conditions if over in c.names})


def one_level(loaded: LoadedStudy, over: str) -> str:
    """Why there is no slope, if the condition has only one level."""
    return "" if len(numeric_levels(loaded, over)) > 1 else f"One level of {words(over)} shows no slope."


def values_by_level(
    loaded: LoadedStudy, over: str, values: Callable[[Combination], Mapping[int, float]]
) -> dict[int, dict[float, float]]:
    """Replicate → level of the condition → mean value over the conditions that share the level.

    `values` gives the value of each replicate under one condition.
    """
    by_level: dict[float, list[Mapping[int, float]]] = {}
    for condition in loaded.conditions:
        if over in condition.names:
            by_level.setdefault(float(condition.names[over]), []).append(values(condition))
    replicates = next(iter(by_level.values()))[0]
    return {
        key: {level: fmean(cell[key] for cell in cells) for level, cells in by_level.items()}
        for key in replicates
    }

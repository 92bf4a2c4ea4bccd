"""How many rounds a study takes whose rounds end early: as soon as every comparison is known precisely
enough.

The rule sees how wide intervals are and nothing else, never where they lie: stopping on significance finds a
difference between equal arms in one study of five (docs/validity.md, "Margins").
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from harness.statistics import log_ratios, narrow_enough
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.planning.results import Results
from harness.study.planning.trials import measurement
from harness.study.schema import Until


def rounds_wanted(loaded: LoadedStudy, results: Results) -> int:
    """The rounds that the study takes as far as the results tell: those that it begins with, and one more
    after each that leaves an interval too wide. None is added to rounds that are not whole, as their
    comparison is lost until they are.
    """
    design = loaded.study.design
    if design.until is None:
        return design.rounds
    return last_round(
        [
            list(_ratios(loaded, arm, condition, results))
            for arm in loaded.arms[1:]
            for condition in loaded.conditions
        ],
        design.until,
        most=design.rounds,
    )


def last_round(comparisons: Sequence[Sequence[Mapping[int, float]]], until: Until, *, most: int) -> int:
    """The last round that is wanted, given the log ratios of each comparison: of each whole round, one a
    seed.
    """
    width = math.log1p(until.width)
    for number in range(until.at_least, most):
        if any(len(rounds) < number for rounds in comparisons):
            return number
        pairs = [dict(enumerate(_all_of(rounds[:number]))) for rounds in comparisons]
        if all(narrow_enough(ratios, width) for ratios in pairs):
            return number
    return most


def _all_of(rounds: Sequence[Mapping[int, float]]) -> list[float]:
    return [ratio for ratios in rounds for ratio in ratios.values()]


def _ratios(
    loaded: LoadedStudy, arm: Combination, condition: Combination, results: Results
) -> Iterator[Mapping[int, float]]:
    """Seed → ln(arm / baseline), round after round, up to the first that is not there as a whole."""
    design, name = loaded.study.design, loaded.study.primary
    for number in range(1, design.rounds + 1):
        sides: list[dict[int, float]] = []
        for chosen in (arm, loaded.baseline):
            specs = [
                measurement(loaded, chosen, condition, seed=seed, number=number)
                for seed in range(design.seeds)
            ]
            found = {s.seed: results[s.id].values.get(name, math.nan) for s in specs if s.id in results}
            if len(found) < design.seeds or not all(value > 0 for value in found.values()):
                return
            sides.append(found)
        yield log_ratios(*sides)

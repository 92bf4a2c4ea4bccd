"""The number of rounds of a study whose rounds may end early: they end as soon as every comparison is precise
enough.

The rule looks only at the widths of intervals, never at their positions. A rule that stops at the first
significant result finds a difference between equal arms in one study of five (docs/validity.md, "Margins").
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
    """The number of rounds that the results so far ask for: the first ones, and one more after each round
    that leaves an interval too wide. No round is added while an earlier one is incomplete.
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
    """The last round that is needed. `comparisons` holds for each comparison the log ratios of every complete
    round, one per seed.
    """
    width = math.log1p(until.width)
    for number in range(until.at_least, most):
        if any(len(rounds) < number for rounds in comparisons):
            return number
        pairs = [dict(enumerate(_joined(rounds[:number]))) for rounds in comparisons]
        if all(narrow_enough(ratios, width) for ratios in pairs):
            return number
    return most


def _joined(rounds: Sequence[Mapping[int, float]]) -> list[float]:
    return [ratio for ratios in rounds for ratio in ratios.values()]


def _ratios(
    loaded: LoadedStudy, arm: Combination, condition: Combination, results: Results
) -> Iterator[Mapping[int, float]]:
    """Seed → ln(arm / baseline) of every round before the first incomplete one."""
    design, name = loaded.study.design, loaded.study.primary
    for number in range(1, design.rounds + 1):
        sides: list[dict[int, float]] = []
        for chosen in (arm, loaded.baseline):
            specs = [
                measurement(loaded, chosen, condition, seed=seed, number=number)
                for seed in range(design.seeds)
            ]
            values = {s.seed: results[s.id].values.get(name, math.nan) for s in specs if s.id in results}
            if len(values) < design.seeds or not all(value > 0 for value in values.values()):
                return
            sides.append(values)
        yield log_ratios(*sides)

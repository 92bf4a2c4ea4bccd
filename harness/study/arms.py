"""Arms and conditions: the combinations of levels that a study runs, and the task config of each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from harness.study.schema import Level, Study, level_name


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One level of each factor, by index into the study's lists; the empty combination is that of no factors."""

    levels: dict[str, int]
    names: dict[str, str]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def name(self) -> str:
        """`cache=dynamic`; factors are joined by a comma."""
        return ", ".join(f"{factor}={level}" for factor, level in self.names.items())


def arms(study: Study) -> tuple[Combination, ...]:
    """The baseline (every factor at its first level), then each other level of each factor, one factor at a time.

    Factors go by the alphabet, as the order of keys in a file means nothing; levels go as written.
    """
    baseline = dict.fromkeys(sorted(study.compare), 0)
    chosen = [baseline]
    for factor, levels in sorted(study.compare.items()):
        chosen += [{**baseline, factor: index} for index in range(1, len(levels))]
    return tuple(_combination(study.compare, levels) for levels in chosen)


def conditions(study: Study) -> tuple[Combination, ...]:
    """Every combination of the levels that are varied but not compared, in the order of `arms`."""
    factors = sorted(study.across)
    ranges = [range(len(study.across[factor])) for factor in factors]
    return tuple(
        _combination(study.across, dict(zip(factors, indices, strict=True)))
        for indices in itertools.product(*ranges)
    )


def _combination(factors: dict[str, list[Level]], levels: dict[str, int]) -> Combination:
    names = {factor: level_name(factors[factor][index]) for factor, index in levels.items()}
    return Combination(levels=levels, names=names)

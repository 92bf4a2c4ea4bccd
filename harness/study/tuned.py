"""What tuning came to: the settings that each arm was tried with, and the one that was chosen."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from harness.study.schema import Scalar


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate and what came out: one value a seed, infinite (the worst) where it diverged, and their
    median.
    """

    settings: Mapping[str, Scalar]
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """What an arm was tried with under a condition, in the order of the grid. `edges` are the settings whose
    best value is the smallest or the largest that was tried, `measured` is whether it was among the
    finalists.
    """

    arm: str
    condition: Mapping[str, str]
    tried: tuple[Tried, ...]
    chosen: Tried
    edges: tuple[str, ...]
    measured: bool = True

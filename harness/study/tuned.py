"""The results of tuning: the settings that each arm was tried with, and the chosen ones."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from harness.study.schema import Scalar


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate and its results: one value per seed, which is the worst possible one if it diverged."""

    settings: Mapping[str, Scalar]
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """The candidates of an arm under a condition, in the order of the grid. `edges` are the settings whose
    best value is the smallest or the largest that was tried. `measured` says whether the arm is a finalist.
    """

    arm: str
    condition: Mapping[str, str]
    tried: tuple[Tried, ...]
    chosen: Tried
    edges: tuple[str, ...]
    measured: bool = True

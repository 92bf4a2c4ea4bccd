"""One value a trial, and its pairing with the baseline's: what contrasts and claims are computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis.wording import count, exp
from harness.config import canonical_json
from harness.metrics import Metric
from harness.statistics import log_ratios
from harness.study.arms import Combination
from harness.study.load import LoadedStudy

if TYPE_CHECKING:
    import pandas as pd

Trial = tuple[int, int]
"""(round, seed), the place of a trial in its cell."""


class _Row(NamedTuple):
    round: int
    seed: int
    value: float
    samples: int
    session: int


class IncomparableError(Exception):
    """Why a contrast cannot be computed; it becomes the reason of an `invalid` verdict."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """`values` is `frames.trial_values` of the study's measurements."""

    loaded: LoadedStudy
    values: pd.DataFrame

    def trials(self, record: Metric, arm: str, condition: Combination) -> dict[Trial, float]:
        """(round, seed) → value. Raises IncomparableError unless every planned trial is there, once and whole."""
        rows, design = self._rows(record, arm, condition), self.loaded.study.design
        found = [(row.round, row.seed) for row in rows]
        planned = [(number, seed) for number in range(1, design.rounds + 1) for seed in range(design.seeds)]
        cell = f"{record.label} of {arm}"
        if found != planned:
            if len(found) > len(set(found)):
                raise IncomparableError(f"a trial of {arm} counts twice")
            lost = len(set(planned) - set(found))
            raise IncomparableError(f"{cell} is missing in {lost} of {count(len(planned), 'trial')}")
        unknown = sum(math.isnan(row.value) for row in rows)
        if unknown:
            raise IncomparableError(f"{cell} is not a number in {count(unknown, 'trial')}")
        # A diverged training stops early; everything else is the same fixed work in each of its trials.
        if record.family != "loss" and len({row.samples for row in rows}) > 1:
            raise IncomparableError(f"{cell} has fewer samples in some trials than in others")
        return {(row.round, row.seed): row.value for row in rows}

    def pairs(self, record: Metric, arm: str, condition: Combination) -> dict[int, float]:
        """Replicate → value (`paired_over`): each round of each seed, or the geometric mean over the rounds of a seed.

        Rounds of seeds are counted from 1, in the order in which they ran: with one seed, a replicate is the round's number.
        """
        members: dict[int, list[float]] = {}
        for (number, seed), value in self.trials(record, arm, condition).items():
            replicate = seed if record.paired_over == "seeds" else self._place(number, seed)
            members.setdefault(replicate, []).append(value)
        return {replicate: _geometric_mean(values) for replicate, values in sorted(members.items())}

    def log_ratios(self, record: Metric, arm: str, other: str, condition: Combination) -> dict[int, float]:
        """Replicate → ln(arm / other). Raises IncomparableError where a round was not run in one session."""
        sides = [self.pairs(record, name, condition) for name in (arm, other)]
        if min(min(side.values()) for side in sides) <= 0:
            raise IncomparableError(f"{record.label} of zero or less has no ratio")
        if record.paired_over == "rounds":
            sessions: dict[Trial, set[int]] = {}
            for row in (*self._rows(record, arm, condition), *self._rows(record, other, condition)):
                sessions.setdefault((row.round, row.seed), set()).add(row.session)
            split = [trial for trial, seen in sessions.items() if len(seen) > 1]
            if split:
                number, seed = split[0]
                told = f" of seed {seed}" if self.loaded.study.design.seeds > 1 else ""
                raise IncomparableError(f"round {number}{told} was not run in one session")
        return log_ratios(*sides)

    def _place(self, number: int, seed: int) -> int:
        return (number - 1) * self.loaded.study.design.seeds + seed + 1

    def _rows(self, record: Metric, arm: str, condition: Combination) -> list[_Row]:
        return self._by_cell.get((record.name, arm, canonical_json(condition.names)), [])

    @cached_property
    def _by_cell(self) -> dict[tuple[str, str, str], list[_Row]]:
        """(metric, arm, condition) → its trials in the order of rounds and seeds."""
        cells: dict[tuple[str, str, str], list[_Row]] = {}
        ordered = self.values.sort_values(["round", "seed"], kind="stable")
        places = zip(ordered["metric"], ordered["arm"], ordered["condition"], strict=True)
        fields = (ordered[name].tolist() for name in _Row._fields)
        for place, row in zip(places, zip(*fields, strict=True), strict=True):
            cells.setdefault(place, []).append(_Row(*row))
        return cells


def repeated(sides: tuple[Mapping[Trial, float], ...]) -> bool:
    """Whether each side has the same value in all of its trials, of which it has several."""
    return all(len(side) > 1 and len(set(side.values())) == 1 for side in sides)


def _geometric_mean(values: list[float]) -> float:
    if len(values) == 1:
        return values[0]
    if min(values) <= 0:
        return min(values)
    return exp(sum(math.log(value) for value in values) / len(values))

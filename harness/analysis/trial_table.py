"""One value a trial, and its pairing with the baseline's: what contrasts and claims are computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.config import canonical_json
from harness.metrics import Metric
from harness.statistics import differences, log_ratios, safe_exp
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.wording import count

if TYPE_CHECKING:
    import pandas as pd

    from harness.scoring.sentences import Sentences
    from harness.statistics import SentenceStatistics

Trial = tuple[int, int]
"""(round, seed), the place of a trial in its cell."""


class _Row(NamedTuple):
    trial: int
    round: int
    seed: int
    value: float
    samples: int
    session: int
    position: int


class IncomparableError(Exception):
    """Why a contrast cannot be computed; it becomes the reason of an `invalid` verdict."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """`values` is `frames.trial_values` of the study's measurements, `sentences` what its trials wrote, by
    trial.

    `outputs` are hashes of what trials gave, by trial; of a trial without any nothing is known.
    """

    loaded: LoadedStudy
    values: pd.DataFrame
    sentences: Mapping[int, Sentences] = field(default_factory=dict)
    outputs: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def trials(self, record: Metric, arm: str, condition: Combination) -> dict[Trial, float]:
        """(round, seed) → value.

        Raises IncomparableError unless every planned trial is there, once and whole.
        """
        rows, design = self._rows(record, arm, condition), self.loaded.study.design
        found = [(row.round, row.seed) for row in rows]
        planned = [(number, seed) for number in range(1, design.rounds + 1) for seed in range(design.seeds)]
        cell = f"{record.label} of {arm}"
        if found != planned:
            if len(found) > len(set(found)):
                raise IncomparableError(f"a trial of {arm} counts twice")
            lost = len(set(planned) - set(found))
            if not lost:
                raise IncomparableError(
                    f"{arm} has trials that were not planned: nobody may choose among them"
                )
            raise IncomparableError(f"{cell} is missing in {lost} of {count(len(planned), 'trial')}")
        unknown = sum(math.isnan(row.value) for row in rows)
        if unknown:
            raise IncomparableError(f"{cell} is not a number in {count(unknown, 'trial')}")
        # A diverged training stops early; everything else is the same fixed work in each of its trials.
        if record.paired_over != "seeds" and len({row.samples for row in rows}) > 1:
            raise IncomparableError(f"{cell} has fewer samples in some trials than in others")
        return {(row.round, row.seed): row.value for row in rows}

    def pairs(self, record: Metric, arm: str, condition: Combination) -> dict[int, float]:
        """Replicate → value (`paired_over`): each round of each seed, or the mean over the rounds of a seed,
        geometric for ratios.

        Rounds of seeds are counted from 1, in the order in which they ran: with one seed, a replicate is the
        round's number.
        """
        members: dict[int, list[float]] = {}
        for (number, seed), value in self.trials(record, arm, condition).items():
            replicate = seed if record.paired_over == "seeds" else self._place(number, seed)
            members.setdefault(replicate, []).append(value)
        mean = _geometric_mean if record.compared_by == "ratios" else fmean
        return {replicate: mean(values) for replicate, values in sorted(members.items())}

    def scores(self, record: Metric, arm: str, condition: Combination) -> dict[int, SentenceStatistics]:
        """Seed → the statistics of a score.

        Raises IncomparableError where a round of a seed did not repeat the others'.
        """
        self.trials(record, arm, condition)
        found: dict[int, SentenceStatistics] = {}
        for row in self._rows(record, arm, condition):
            written = self.sentences.get(row.trial)
            if written is None or record.name not in written.scores:
                raise IncomparableError(f"{record.label} of {arm} was kept without its sentences")
            statistics = written.statistics(record.name)
            first = found.setdefault(row.seed, statistics)
            if first is not statistics and not np.array_equal(first.values, statistics.values):
                raise IncomparableError(f"{record.label} of {arm} differs between rounds of seed {row.seed}")
        return found

    def log_ratios(self, record: Metric, arm: str, other: str, condition: Combination) -> dict[int, float]:
        """Replicate → ln(arm / other). Raises IncomparableError where a round was not run in one session."""
        sides = [self.pairs(record, name, condition) for name in (arm, other)]
        if min(min(side.values()) for side in sides) <= 0:
            raise IncomparableError(f"{record.label} of zero or less has no ratio")
        if record.paired_over == "rounds":
            self.check_rounds(record, arm, other, condition)
        return log_ratios(*sides)

    def differences(self, record: Metric, arm: str, other: str, condition: Combination) -> dict[int, float]:
        """Seed → arm − other, of what may be zero; two that diverged tie."""
        return differences(*(self.pairs(record, name, condition) for name in (arm, other)))

    def same_outputs(self, record: Metric, arms: tuple[str, str], condition: Combination) -> bool:
        """Whether every trial of the one arm gave what the other's gave, as far as they kept hashes."""
        first, second = (
            {(row.round, row.seed): self.outputs.get(row.trial) for row in self._rows(record, arm, condition)}
            for arm in arms
        )
        return all(first[place] == second.get(place) for place in first if first[place] and second.get(place))

    def lost(self, record: Metric, arms: tuple[str, str], condition: Combination) -> bool:
        """Whether both arms diverged in every pair: then all pairs tie, and nothing is known of either."""
        return all(math.isinf(value) for arm in arms for value in self.pairs(record, arm, condition).values())

    def check_rounds(self, record: Metric, arm: str, other: str, condition: Combination) -> None:
        """Each round in one session, and the arms in no fixed order: what changes with time would pass for
        the arm's doing.

        Raises IncomparableError where it is not so. A round in which one arm has no value of the metric tells
        no order.
        """
        rounds: dict[Trial, dict[str, _Row]] = {}
        for name in (arm, other):
            for row in self._rows(record, name, condition):
                rounds.setdefault((row.round, row.seed), {})[name] = row
        for (number, seed), rows in rounds.items():
            if len({row.session for row in rows.values()}) > 1:
                told = f" of seed {seed}" if self.loaded.study.design.seeds > 1 else ""
                raise IncomparableError(f"round {number}{told} was not run in one session")
        first = [rows[arm].position < rows[other].position for rows in rounds.values() if len(rows) == 2]
        if len(set(first)) == 1 and self._never_by_chance(len(first)):
            raise IncomparableError(
                f"{arm} ran {'before' if first[0] else 'after'} {other} in every round, so that what changes with time "
                "cannot be told from what the arm does"
            )

    def _never_by_chance(self, rounds: int) -> bool:
        """Whether a random order puts one arm always first so rarely that there was none.

        The plan lets every arm begin in some round where there are as many rounds as arms, so then it never
        happens.
        """
        arms, comparisons = len(self.loaded.arms), (len(self.loaded.arms) - 1) * len(self.loaded.conditions)
        planned = rounds >= 6 and rounds >= arms
        return planned or comparisons * 2.0 ** (1 - rounds) <= 0.01

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
    return safe_exp(sum(math.log(value) for value in values) / len(values))

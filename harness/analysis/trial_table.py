"""One value per trial, paired with the other arm's: contrasts and claims are computed from this table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.frames import Measurement
from harness.config import canonical_json
from harness.metrics import Metric
from harness.scoring.fit import why_unfit
from harness.scoring.sentences import Sentences
from harness.statistics import (
    ScoreDifference,
    SentenceStatistics,
    both_infinite,
    differences,
    log_ratios,
    safe_exp,
)
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.wording import count

Trial = tuple[int, int]
"""(round, seed): what identifies a trial of one arm under one condition."""


class _Row(NamedTuple):
    trial: int
    round: int
    seed: int
    value: float
    samples: int
    session: int
    position: int


class Diverged(NamedTuple):
    """On how many seeds an arm and the other arm diverged, and on which seeds both did."""

    arm: int
    other: int
    both: tuple[int, ...]


class IncomparableError(Exception):
    """A contrast cannot be computed. The message becomes the reason of an `invalid` verdict."""


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """The measurements of a study, looked up by metric, arm and condition.

    `values` comes from `frames.trial_values`. `sentences` maps a trial to the texts that it wrote, `outputs`
    to the hashes of its outputs; trials without hashes are missing there. `seen` says for an arm under a
    condition (as canonical JSON) why the text that it was evaluated on was not held out. `without_value` are
    the measurements that are lost (`harness.store.lost`). `void` are the rounds of which `values` has no
    timings, and `open` says why no timing decides anything (`harness.analysis.validity.voids`). Unless the
    order is known, the positions of `values` mean nothing.
    """

    loaded: LoadedStudy
    values: pd.DataFrame
    sentences: Mapping[int, Sentences] = field(default_factory=dict)
    outputs: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    seen: Mapping[tuple[str, str], str] = field(default_factory=dict)
    without_value: frozenset[Measurement] = frozenset()
    void: frozenset[int] = frozenset()
    open: str = ""
    order_known: bool = True
    compared_scores: dict[tuple[str, ...], ScoreDifference] = field(default_factory=dict, repr=False)
    """The comparisons of scores that were made, because a family asks for them again at its own level."""

    def check_held_out(self, record: Metric, arm: str, condition: Combination) -> None:
        """Raises IncomparableError if the metric needs held-out text and the model was trained on it."""
        reason = self.seen.get((arm, canonical_json(condition.names)))
        if record.held_out and reason is not None:
            raise IncomparableError(reason)

    def trials(self, record: Metric, arm: str, condition: Combination) -> dict[Trial, float]:
        """(round, seed) → value, which is NaN where the measurement is lost.

        Nothing is known about a lost measurement, so its pair counts against every statement. A value that
        every round repeats (a count, or the result of a training) is left out instead. Raises
        IncomparableError unless every other planned trial is there exactly once and is complete, and if the
        metric needs held-out text that the model has seen.
        """
        self.check_held_out(record, arm, condition)
        rows, design = self._rows(record, arm, condition), self.loaded.study.design
        cell = arm, canonical_json(condition.names)
        lost = {(number, seed) for *where, number, seed in self.without_value if tuple(where) == cell}
        measured = [(row.round, row.seed) for row in rows]
        void = self.void if record.timed else frozenset()
        all_planned = [
            (number, seed)
            for number in range(1, design.rounds + 1)
            for seed in range(design.seeds)
            if number not in void
        ]
        planned = [trial for trial in all_planned if trial not in lost]
        quantity = f"{record.label} of {arm}"
        if measured != planned:
            if len(measured) > len(set(measured)):
                raise IncomparableError(f"{arm} has two results for the same trial")
            missing = len(set(planned) - set(measured))
            if not missing:
                raise IncomparableError(
                    f"{arm} has trials that were not planned, so results could have been selected"
                )
            raise IncomparableError(f"{quantity} is missing in {missing} of {count(len(planned), 'trial')}")
        best = math.inf if record.better == "higher" else -math.inf  # nothing measured is infinitely good
        unknown = sum(math.isnan(row.value) or row.value == best for row in rows)
        if unknown:
            raise IncomparableError(f"{quantity} is not a number in {count(unknown, 'trial')}")
        # A training that diverged stops early. All other trials do the same fixed work.
        if record.paired_over != "seeds" and len({row.samples for row in rows}) > 1:
            raise IncomparableError(f"{quantity} has fewer samples in some trials than in others")
        values = {(row.round, row.seed): row.value for row in rows}
        counted = record.exact or (record.exact_if_repeated and len(set(values.values())) == 1)
        if record.paired_over != "rounds" or counted:
            return values
        return {trial: values.get(trial, math.nan) for trial in all_planned}

    def pairs(self, record: Metric, arm: str, condition: Combination) -> dict[int, float]:
        """Replicate → value. A replicate is a round of a seed, or a seed (`paired_over`); for seeds, the
        value is the mean over rounds (geometric for ratios).

        Rounds of all seeds are numbered from 1 in the order in which they ran, so with one seed the replicate
        is the number of the round. Raises IncomparableError as `trials` does.
        """
        members: dict[int, list[float]] = {}
        seeds = self.loaded.study.design.seeds
        for trial, value in self.trials(record, arm, condition).items():
            members.setdefault(replicate_of(record, trial, seeds), []).append(value)
        if record.paired_over == "seeds" and len(members) < seeds:
            raise IncomparableError(f"{record.label} of {arm} is lost in every round of a seed")
        return {replicate: replicate_value(record, values) for replicate, values in sorted(members.items())}

    def scores(
        self, record: Metric, arms: tuple[str, str], condition: Combination
    ) -> tuple[dict[int, SentenceStatistics], dict[int, SentenceStatistics]]:
        """For each arm, seed → the statistics of a score. All arms and seeds have the same texts, in any
        order.

        Raises IncomparableError if the rounds of a seed differ, if the sentences are not in the store, or if
        a trial was scored on other sentences than the second arm's first, or if the score cannot measure the
        references.
        """
        first, second = (self._written(record, arm, condition) for arm in arms)
        texts = next(iter(second.values()))
        if unfit := why_unfit(record.name, texts.references, texts.scores[record.name].signature):
            raise IncomparableError(unfit)
        reference = Counter(texts.keys)
        for arm, trials in zip(arms, (first, second), strict=True):
            for row, written in trials.items():
                _check_same_sentences(f"{record.label} of {arm}, seed {row.seed}", reference, written)
        return self._by_seed(record, arms[0], first), self._by_seed(record, arms[1], second)

    def _written(self, record: Metric, arm: str, condition: Combination) -> dict[_Row, Sentences]:
        self.trials(record, arm, condition)
        rows = {row: self.sentences.get(row.trial) for row in self._rows(record, arm, condition)}
        written = {row: text for row, text in rows.items() if text is not None and record.name in text.scores}
        if len(written) < len(rows):
            raise IncomparableError(f"{record.label} of {arm} was stored without the sentences")
        return written

    def _by_seed(
        self, record: Metric, arm: str, written: Mapping[_Row, Sentences]
    ) -> dict[int, SentenceStatistics]:
        by_seed: dict[int, SentenceStatistics] = {}
        for row, text in written.items():
            statistics = text.statistics(record.name)
            first = by_seed.setdefault(row.seed, statistics)
            if first is not statistics and not np.array_equal(
                first.by_text().values, statistics.by_text().values
            ):
                raise IncomparableError(f"{record.label} of {arm} differs between rounds of seed {row.seed}")
        return by_seed

    def wrote_the_same(self, record: Metric, arms: tuple[str, str], condition: Combination) -> bool:
        """Whether both arms wrote the same text for every sentence, in every trial of a score."""
        first, second = (
            {(row.round, row.seed): row.trial for row in self._rows(record, arm, condition)} for arm in arms
        )
        texts = (
            (self.sentences[first[trial]], self.sentences[second[trial]])
            for trial in first
            if trial in second
        )
        return all(one.outputs_by_key == other.outputs_by_key for one, other in texts)

    def log_ratios(self, record: Metric, arm: str, other: str, condition: Combination) -> dict[int, float]:
        """Replicate → ln(arm / other), which is NaN where a value is lost.

        Raises IncomparableError if a value is not positive, if no pair is complete, or if a round did not run
        in one session.
        """
        pairs = [self.pairs(record, name, condition) for name in (arm, other)]
        known = [{key for key, value in side.items() if not math.isnan(value)} for side in pairs]
        lost = (pairs[0].keys() | pairs[1].keys()) - (known[0] & known[1])
        sides = [{key: value for key, value in side.items() if key not in lost} for side in pairs]
        if not all(sides):
            raise IncomparableError(f"no round has both values of {record.label}")
        if min(min(side.values()) for side in sides) <= 0:
            raise IncomparableError(f"{record.label} is zero or negative, so it has no ratio")
        if record.depends_on_the_machine:
            self.check_rounds(record, arm, other, condition)
        return dict(sorted((log_ratios(*sides) | dict.fromkeys(lost, math.nan)).items()))

    def differences(self, record: Metric, arm: str, other: str, condition: Combination) -> dict[int, float]:
        """Seed → arm − other. Two trainings that both diverged are a tie."""
        return differences(*(self.pairs(record, name, condition) for name in (arm, other)))

    def same_outputs(self, record: Metric, arms: tuple[str, str], condition: Combination) -> bool:
        """Whether every trial of one arm gave the same outputs as the other arm's. Trials without hashes are
        skipped.
        """
        return not self.differing_outputs(record, arms, condition)[0]

    def differing_outputs(
        self, record: Metric, arms: tuple[str, str], condition: Combination
    ) -> tuple[int, int]:
        """In how many trials the two arms gave different outputs, and in how many both have hashes."""
        first, second = (
            {(row.round, row.seed): self.outputs.get(row.trial) for row in self._rows(record, arm, condition)}
            for arm in arms
        )
        same = [first[trial] == second[trial] for trial in first if first[trial] and second.get(trial)]
        return same.count(False), len(same)

    def models(self, record: Metric) -> int:
        """The number of trained models whose rounds `pairs` gives in turn; 1 if a replicate is a seed."""
        return self.loaded.study.design.seeds if record.paired_over == "rounds" else 1

    def diverged(self, record: Metric, arms: tuple[str, str], condition: Combination) -> Diverged:
        """On how many seeds each arm diverged, and the replicates in which both did."""
        sides = [self.pairs(record, arm, condition) for arm in arms]
        if not record.lost_by_divergence:
            return Diverged(0, 0, ())
        first, second = (sum(map(math.isinf, side.values())) for side in sides)
        return Diverged(first, second, both_infinite(*sides))

    def check_rounds(self, record: Metric, arm: str, other: str, condition: Combination) -> None:
        """Raises IncomparableError if a round did not run in one session, or if one arm always ran first: a
        drift of the machine would then look like an effect of the arm.

        Rounds in which one arm has no value of the metric are ignored.
        """
        rounds: dict[Trial, dict[str, _Row]] = {}
        for name in (arm, other):
            for row in self._rows(record, name, condition):
                rounds.setdefault((row.round, row.seed), {})[name] = row
        for (number, seed), rows in rounds.items():
            if len({row.session for row in rows.values()}) > 1:
                seed_text = f" of seed {seed}" if self.loaded.study.design.seeds > 1 else ""
                raise IncomparableError(f"round {number}{seed_text} was not run in one session")
        if not self.order_known:
            return
        first = [rows[arm].position < rows[other].position for rows in rounds.values() if len(rows) == 2]
        if len(set(first)) == 1 and self._never_by_chance(len(first)):
            raise IncomparableError(
                f"{arm} ran {'before' if first[0] else 'after'} {other} in every round, so a drift of the "
                "machine cannot be separated from the effect of the arm"
            )

    def check_sessions(self, record: Metric, arm: str) -> None:
        """Raises IncomparableError if a round of the arm was not run in one session under all conditions."""
        if not record.depends_on_the_machine:
            return
        sessions: dict[Trial, set[int]] = {}
        for condition in self.loaded.conditions:
            for row in self._rows(record, arm, condition):
                sessions.setdefault((row.round, row.seed), set()).add(row.session)
        for (number, _), numbers in sessions.items():
            if len(numbers) > 1:
                raise IncomparableError(f"round {number} was not run in one session")

    def _never_by_chance(self, rounds: int) -> bool:
        """Whether a random order would hardly ever put the same arm first in all of these rounds.

        With more rounds than arms, and at least 6, the plan never lets the same one of two arms run first in
        all of them.
        """
        arms, comparisons = len(self.loaded.arms), (len(self.loaded.arms) - 1) * len(self.loaded.conditions)
        planned = rounds >= 6 and rounds > arms
        return planned or comparisons * 2.0 ** (1 - rounds) <= 0.01

    def _rows(self, record: Metric, arm: str, condition: Combination) -> list[_Row]:
        return self._by_cell.get((record.name, arm, canonical_json(condition.names)), [])

    @cached_property
    def _by_cell(self) -> dict[tuple[str, str, str], list[_Row]]:
        """(metric, arm, condition) → its trials in the order of rounds and seeds."""
        cells: dict[tuple[str, str, str], list[_Row]] = {}
        ordered = self.values.sort_values(["round", "seed"], kind="stable")
        keys = zip(ordered["metric"], ordered["arm"], ordered["condition"], strict=True)
        fields = (ordered[name].tolist() for name in _Row._fields)
        for key, row in zip(keys, zip(*fields, strict=True), strict=True):
            cells.setdefault(key, []).append(_Row(*row))
        return cells


def replicate_of(record: Metric, trial: Trial, seeds: int) -> int:
    """The replicate that a trial belongs to (see `TrialTable.pairs`)."""
    number, seed = trial
    return seed if record.paired_over == "seeds" else (number - 1) * seeds + seed + 1


def replicate_value(record: Metric, values: list[float]) -> float:
    """The value of a replicate, from those of its trials."""
    return _geometric_mean(values) if record.compared_by == "ratios" else fmean(values)


def _check_same_sentences(what: str, reference: Counter[str], written: Sentences) -> None:
    """Raises IncomparableError unless exactly the sentences of the reference were written."""
    keys = Counter(written.keys)
    missing, additional = (reference - keys).total(), (keys - reference).total()
    if missing or additional:
        raise IncomparableError(
            f"{what}, was measured on other texts: {missing} of {count(reference.total(), 'sentence')} "
            f"{'is' if missing == 1 else 'are'} missing, and {count(additional, 'other sentence')} "
            f"{'is' if additional == 1 else 'are'} there"
        )


def repeated(sides: tuple[Mapping[Trial, float], ...]) -> bool:
    """Whether each side has several trials that all have the same value."""
    return all(len(side) > 1 and len(set(side.values())) == 1 for side in sides)


def _geometric_mean(values: list[float]) -> float:
    if len(values) == 1:
        return values[0]
    if min(values) <= 0:
        return min(values)
    return safe_exp(sum(math.log(value) for value in values) / len(values))

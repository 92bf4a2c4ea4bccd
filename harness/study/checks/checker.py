"""What the checks of a study share: the study, its file, and the ways to refuse what is wrong in it.

A check that fails raises StudyError with the file, the line and the column of the key (or the value) that is
wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NoReturn

from harness.errors import did_you_mean
from harness.metrics import METRICS, Metric, PairedOver, metric
from harness.statistics import FEWEST_MODELS, largest_family
from harness.study.arms import Combination, arms, conditions, find_arm, wanted_levels
from harness.study.levels import Level, Scalar, level_name
from harness.study.reading.yaml_document import KeyPath, Located
from harness.study.schema import StudyBase
from harness.tasks.base import Task

EXPLORATORY = "set `exploratory: true` to see effects without verdicts"


@dataclass(frozen=True)
class StudyChecker:
    """A study, the document that it was read from, and its task."""

    study: StudyBase
    document: Located
    task: type[Task]

    @cached_property
    def arms(self) -> tuple[Combination, ...]:
        return arms(self.study)

    @cached_property
    def conditions(self) -> tuple[Combination, ...]:
        return conditions(self.study)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the trials: those of the task, and those that the study declares."""
        return (*self.task.recorded(), *self.study.metrics)

    def fail(self, path: KeyPath, message: str, *, hint: str | None = None, value: bool = False) -> NoReturn:
        """Raises StudyError at the key (or the list item) at `path`, or at its value."""
        raise self.document.error(path, message, hint=hint, value=value)

    def check_known(
        self,
        path: KeyPath,
        word: str | None,
        known: Iterable[str | None],
        problem: str,
        *,
        value: bool = True,
    ) -> None:
        """Raises StudyError if the word at `path` is not a known one: the value, or else the key."""
        names = set(known)
        if word not in names:
            self.fail(
                path,
                f"{problem} {word!r}",
                hint=did_you_mean(str(word), filter(None, names)),
                value=value,
            )

    def check_metric(self, path: KeyPath, name: str, *, directed: bool = True) -> Metric:
        """The record of the metric. Raises StudyError if the task does not produce it, or if it is `directed`
        and neither more nor less of it is better.
        """
        problem = f"task {self.study.task!r} does not produce the metric"
        if name not in self.metrics and (refusal := METRICS.refusal(name)):
            self.fail(path, f"{problem} {name!r}", hint=refusal, value=True)
        self.check_known(path, name, self.metrics, problem)
        record = metric(name)
        if directed and record.better == "neither":
            self.fail(
                path,
                f"neither higher nor lower values of {name} are better, so arms cannot be compared by it",
                value=True,
            )
        return record

    def check_levels(
        self,
        path: KeyPath,
        where: Mapping[str, Scalar | list[Scalar]],
        factors: Mapping[str, list[Level]],
        unknown: str,
        *,
        value: bool,
    ) -> None:
        """Raises StudyError if a factor under `path` is not one of `factors`, or if it does not have a level
        that is asked for. The error is at the `value` of the factor, or else at its key.
        """
        for factor, asked in where.items():
            inner = (*path, factor)
            self.check_known(inner, factor, factors, unknown, value=False)
            if asked == []:
                self.fail(inner, f"no level of {factor} is listed", hint="list at least one")
            names = [level_name(level) for level in factors[factor]]
            for level in wanted_levels(asked):
                self.check_known(inner, level, names, f"{factor} has no level", value=value)

    def arm(self, path: KeyPath, levels: Mapping[str, Scalar]) -> Combination:
        """The arm of these levels. Raises StudyError if there is none."""
        self.check_levels(path, levels, self.study.compare, "`compare` has no factor", value=True)
        arm = find_arm(self.arms, levels)
        if arm is None:
            baseline = self.arms[0].names
            off = [factor for factor, level in levels.items() if level_name(level) != baseline.get(factor)]
            names = ", ".join(arm.name for arm in self.arms[:6]) + (" …" if len(self.arms) > 6 else "")
            self.fail(
                path,
                f"{path[1]}: no arm differs from the baseline in only {' and '.join(off)}",
                hint=f"design.arms is {self.study.design.arms}; the arms are {names}",
            )
        return arm

    def check_condition(self, path: KeyPath, at: Mapping[str, Scalar]) -> None:
        """Raises StudyError unless `at`, of the claim or the search at `path`, names one condition."""
        self.check_levels((*path, "at"), at, self.study.across, "`across` has no factor", value=True)
        names = {factor: level_name(level) for factor, level in at.items()}
        meant = [condition for condition in self.conditions if names.items() <= condition.names.items()]
        if not meant:
            levels = ", ".join(f"{factor}={level}" for factor, level in names.items())
            self.fail((*path, "at"), f"{path[-1]}: no condition has {levels}")
        for factor, possible in self.study.across.items():
            if len({condition.names.get(factor) for condition in meant}) > 1:
                self.fail(
                    path,
                    f"{path[-1]} does not say for which {factor} it holds",
                    hint=f"add `at: {{{factor}: …}}` with one of {', '.join(map(level_name, possible))}",
                )

    def check_margin(self, path: KeyPath, record: Metric) -> None:
        """Raises StudyError if the study does not say how large a difference of the metric does not matter,
        and there is no default either.
        """
        if self.study.margin(record) == 0:
            self.fail(
                path,
                f"{path[-1]}: {record.name} has no default margin, so any difference would count",
                hint=f"declare the largest difference that does not matter: `margins: {{{record.name}: …}}`",
            )

    def check_pairs(self, paired_over: PairedOver, family: int, subject: str) -> None:
        """Raises StudyError if the design has too few pairs for any of a family of that many comparisons ever
        to be significant; `subject` is what could then never be decided.
        """
        design = self.study.design
        pairs = design.pairs(paired_over)
        if largest_family(pairs) >= family:
            return
        unit: Literal["rounds", "seeds"] = (
            "rounds" if paired_over == "rounds" and design.seeds < FEWEST_MODELS else "seeds"
        )
        fixed = design.model_copy(update={"until": None})
        enough = next(
            number
            for number in itertools.count(1)
            if largest_family(fixed.model_copy(update={unit: number}).pairs(unit)) >= family
        )
        number = f"{pairs} {unit} are" if pairs > 1 else f"1 {unit[:-1]} is"
        self.fail(
            ("design", unit),
            f"{number} too few to decide {subject}",
            hint=f"use at least {enough}, or {EXPLORATORY}",
            value=True,
        )

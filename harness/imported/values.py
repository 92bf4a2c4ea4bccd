"""The values of a file: one for each metric, arm and pair, with the line from which it comes.

A metric that an option names must be complete, because whoever leaves out the values that are missing or not
finite compares only the trials that went well. A metric that is only guessed from its column is left out
instead, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.imported.columns import Columns, check_named, is_named
from harness.imported.options import FileOptions
from harness.imported.table_file import TableFile, TableRow
from harness.programs.outputs.base import ProgramOutputError, number_of, step_of
from harness.study.levels import level_name

MOST_ARMS = 100
MOST_PAIRS = {"seed": 1_000, "round": 10_000}
"""As in a study."""

UNFINISHED = frozenset({"crashed", "failed", "killed", "pending", "preempting", "running", "scheduled"})
"""What W&B and MLflow call trials that have no final value."""

TrialKey = tuple[str, str]
"""(arm, pair) as the file writes them."""


class FileValue(NamedTuple):
    """The last value of a metric in a trial. The step is None if the file has no column of steps."""

    line: int
    step: int | None
    value: float


@dataclass(frozen=True, kw_only=True)
class FileValues:
    """Everything that is compared. `trials` has the first line of each trial, in the order of the file, and
    `left_out` why a column that may be a metric is not one.
    """

    values: dict[str, dict[TrialKey, FileValue]]
    trials: dict[TrialKey, int]
    left_out: dict[str, str]

    @property
    def arms(self) -> tuple[str, ...]:
        """In the order in which the file first names them."""
        return tuple(dict.fromkeys(arm for arm, _ in self.trials))


def read_values(table: TableFile, columns: Columns, options: FileOptions) -> FileValues:
    """Raises InputError, with the line, for what cannot be compared."""
    reader = _Reader(table=table, columns=columns, options=options)
    for row in table.rows():
        reader.add(row)
    return reader.result()


@dataclass(frozen=True, kw_only=True)
class _Reader:
    table: TableFile
    columns: Columns
    options: FileOptions
    values: dict[str, dict[TrialKey, FileValue]] = field(default_factory=dict)
    trials: dict[TrialKey, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """The first problem of each metric that no option names."""
    arms: dict[str, None] = field(default_factory=dict)
    pairs: dict[str, None] = field(default_factory=dict)

    def add(self, row: TableRow) -> None:
        key = self._text(row, self.columns.arm), _pair_name(self._text(row, self.columns.pair))
        self._check_counts(row.line, *key)
        state = str(row.cells.get(self.columns.state, "")).strip()
        if state.lower() in UNFINISHED:
            raise self.table.error(
                row.line,
                f"{self._trial(key)} has not finished: its {self.columns.state!r} is {state!r}",
                _COMPLETE,
            )
        step = None
        if self.columns.step:
            try:
                step = step_of(row.cells.get(self.columns.step), f"column {self.columns.step!r}")
            except ProgramOutputError as error:
                raise self.table.error(row.line, error.message, "write a whole number from 0 on") from None
        if step is None and not self.columns.metric and key in self.trials:
            raise self.table.error(
                row.line,
                f"{self._trial(key)} is already in line {self.trials[key]}",
                f"keep one row per trial; for repetitions of a {self.columns.paired_by} write the mean; "
                "for steps name their column step",
            )
        self.trials.setdefault(key, row.line)
        for name, cell in self._cells(row):
            self._add_value(name, key, row.line, step, cell)

    def result(self) -> FileValues:
        if not self.trials:
            raise self.table.error(1, "there are no rows below the names of the columns", "add the trials")
        if self.columns.metric:
            check_named(self.table, self.values, self.options)
            if self.options.metrics:
                for name in [name for name in self.values if not self._is_named(name)]:
                    del self.values[name]
        for name in self.columns.measured:
            if name not in self.values and self._is_named(name):
                raise self.table.error(1, f"the column {name!r} has no value", "name another metric")
        for name in list(self.values):
            self._check_complete(name)
            self._check_ratio(name)
            self._check_setting(name)
        for name, problem in self.problems.items():
            measured = self.values.pop(name, None)
            self.left_out[name] = problem if measured else NO_NUMBERS
        return FileValues(values=self.values, trials=self.trials, left_out=self.left_out)

    def _is_named(self, name: str) -> bool:
        return is_named(name, self.options.named)

    def _cells(self, row: TableRow) -> Iterator[tuple[str, object]]:
        if self.columns.metric:
            name = self._text(row, self.columns.metric)
            if self.left_out.get(name) != NO_NUMBERS:
                yield name, row.cells.get(self.columns.value)
            return
        for name in self.columns.measured:
            if self.left_out.get(name) != NO_NUMBERS:
                yield name, row.cells.get(name)

    def _text(self, row: TableRow, column: str) -> str:
        cell = row.cells.get(column)
        text = "" if cell is None or isinstance(cell, list) else _text_of(cell).strip()
        if not text:
            raise self.table.error(
                row.line, f"the column {column!r} is empty", "complete the cell, or remove the row"
            )
        return text

    def _check_counts(self, line: int, arm: str, pair: str) -> None:
        self.arms[arm] = self.pairs[pair] = None
        most = MOST_PAIRS[self.columns.paired_by]
        if len(self.arms) > MOST_ARMS:
            raise self.table.error(
                line,
                f"more than {MOST_ARMS} arms in the column {self.columns.arm!r}",
                "name the column of the arms with --arm; one with a name for each trial is not that column",
            )
        if len(self.pairs) > most:
            raise self.table.error(
                line,
                f"more than {most:,} {self.columns.paired_by}s in the column {self.columns.pair!r}",
                "name the column of the pairs with --pair, or analyse fewer of them",
            )

    def _trial(self, key: TrialKey) -> str:
        return f"{self.columns.paired_by} {key[1]} of {key[0]!r}"

    def _add_value(self, name: str, key: TrialKey, line: int, step: int | None, cell: object) -> None:
        several = step is not None or bool(self.columns.metric)
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            if not several:
                self._refuse(name, line, "is empty", _COMPLETE)
            return
        try:
            value = number_of(cell, f"column {name!r}")
        except ProgramOutputError:
            if name not in self.values and not self._is_named(name):
                self.left_out[name] = NO_NUMBERS
                return
            shown = str(cell)[:40]
            self._refuse(name, line, f"is {shown!r}, which is not a number", "write a number with a point")
            return
        values = self.values.setdefault(name, {})
        before = values.get(key)
        if before is not None:
            if before.step == step:
                at = "" if step is None else f" at step {step}"
                raise self.table.error(
                    line,
                    f"{name!r} of {self._trial(key)}{at} is already in line {before.line}",
                    "keep one of the two values",
                )
            if step is None or before.step is None or step < before.step:
                return
        values[key] = FileValue(line, step, value)

    def _check_complete(self, name: str) -> None:
        """Every trial has one value of the metric, which is a number."""
        values = self.values[name]
        for key, first in self.trials.items():
            if key not in values:
                self._refuse(name, first, f"has no value for {self._trial(key)}", _COMPLETE)
                return
            line, _, value = values[key]
            if math.isnan(value):
                self._refuse(name, line, "is NaN", _COMPLETE)
                return
            if math.isinf(value) and not (value > 0 and self._may_diverge(name)):
                self._refuse(
                    name,
                    line,
                    f"is {value}",
                    f"only a metric that is paired by seed and given with --lower may be infinite: {_WORST}",
                )
                return

    def _may_diverge(self, name: str) -> bool:
        return self.columns.paired_by == "seed" and is_named(name, self.options.lower)

    def _check_ratio(self, name: str) -> None:
        if is_named(name, self.options.difference):
            return
        low = min(self.values[name].values(), key=lambda one: one.value)
        if low.value <= 0:
            self._refuse(
                name,
                low.line,
                f"is {low.value:g}, and a ratio needs positive values",
                f"compare differences with --difference {name}",
            )

    def _check_setting(self, name: str) -> None:
        """A guessed column with one value in each arm was set, and not measured."""
        if self._is_named(name):
            return
        by_arm: dict[str, set[float]] = {}
        for (arm, _), one in self.values[name].items():
            by_arm.setdefault(arm, set()).add(one.value)
        if len(by_arm) < len(self.values[name]) and all(len(values) == 1 for values in by_arm.values()):
            self.problems.setdefault(name, "has one value in each arm, so it is a setting")

    def _refuse(self, name: str, line: int, what: str, hint: str) -> None:
        """Raises InputError for a metric that an option names. Any other one is left out in the end."""
        if name in self.problems:
            return
        if self._is_named(name):
            raise self.table.error(line, f"{name!r} {what}", hint)
        self.problems.setdefault(name, f"{what} (line {line})")


NO_NUMBERS = "is not a column of numbers"
_WORST = "then it counts as the worst value"
_COMPLETE = (
    "write the value; write inf if the training diverged and the metric is given with --lower; to compare "
    "without this trial, remove its row, and the output says so"
)


def _text_of(cell: object) -> str:
    return level_name(cell) if isinstance(cell, str | bool | int | float) else str(cell)


def _pair_name(text: str) -> str:
    """`1` for `1`, `1.0` and `01`: programs write the same seed differently."""
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else text

"""From a file of results to its comparisons, with everything that the file does not show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError, Location, did_you_mean
from harness.imported.columns import Columns, find_columns
from harness.imported.comparisons import ArmComparison, compare_arms
from harness.imported.missing import Missing, missing
from harness.imported.options import FileOptions
from harness.imported.table_file import TableFile, open_table
from harness.imported.values import FileValues, read_values


@dataclass(frozen=True, kw_only=True)
class FileAnalysis:
    """The comparisons of a file. `guesses` says what was not given and therefore guessed."""

    file: str
    baseline: str
    columns: Columns
    trials: int
    comparisons: tuple[ArmComparison, ...]
    missing: tuple[Missing, ...]
    guesses: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """The analysis for a program."""
        return {
            "file": self.file,
            "baseline": self.baseline,
            "arm_column": self.columns.arm,
            "paired_by": self.columns.paired_by,
            "pair_column": self.columns.pair,
            "trials": self.trials,
            "contrasts": [comparison.data() for comparison in self.comparisons],
            "missing": [one._asdict() for one in self.missing],
            "guesses": list(self.guesses),
        }


def analyse_file(path: Path, options: FileOptions) -> FileAnalysis:
    """Raises InputError, with the line and what to do, for a file that cannot be analysed. Writes nothing."""
    table = open_table(path)
    columns = find_columns(table, options)
    values = read_values(table, columns, options)
    baseline = _baseline(table, columns, values, options)
    if not values.values:
        reasons = [f"{name!r} {why}" for name, why in values.left_out.items()]
        raise InputError(
            "no column can be compared" + (f": {'; '.join(reasons[:3])}" if reasons else ""),
            at=Location(str(path), 1),
            hint="name the metrics with --metric",
        )
    comparisons = compare_arms(values, columns, options, baseline)
    return FileAnalysis(
        file=str(path),
        baseline=baseline,
        columns=columns,
        trials=len(values.trials),
        comparisons=comparisons,
        missing=missing(values, columns, comparisons, baseline),
        guesses=tuple(_guesses(columns, options, baseline)),
    )


def _baseline(table: TableFile, columns: Columns, values: FileValues, options: FileOptions) -> str:
    arms = values.arms
    if options.baseline and options.baseline not in arms:
        raise table.error(
            1,
            f"no row of the column {columns.arm!r} is {options.baseline!r}",
            did_you_mean(options.baseline, arms) or "see --baseline",
        )
    if len(arms) < 2:
        raise table.error(
            1,
            f"the column {columns.arm!r} has only one arm, {arms[0]!r}, so there is nothing to compare",
            "name another column with --arm, or add the trials of the other arm",
        )
    return options.baseline or arms[0]


def _guesses(columns: Columns, options: FileOptions, baseline: str) -> Iterator[str]:
    if not options.arm:
        yield f"the arms are in the column {columns.arm!r} (--arm)"
    if options.pair is None:
        yield f"the trials are paired by {columns.paired_by}, in the column {columns.pair!r} (--pair)"
    if not options.baseline:
        yield f"the baseline is {baseline!r}, the first arm in the file (--baseline)"
    if columns.metric:
        last = (
            f"the value at the last step in the column {columns.step!r}" if columns.step else "the only value"
        )
        yield f"each row is one value of a metric; {last} of a trial counts"
    elif columns.step:
        yield f"the value at the last step in the column {columns.step!r} of a trial counts"

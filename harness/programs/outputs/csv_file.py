"""Values in a column of a CSV file that the program writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from harness.errors import did_you_mean
from harness.programs.outputs.base import (
    FilePath,
    OutputKind,
    Printed,
    ProgramOutputError,
    Value,
    number_of,
    step_of,
    text_of,
)

Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _one_sign(delimiter: str) -> str:
    if delimiter in '"\r\n\0':
        raise ValueError("this cannot stand between the cells of a CSV file")
    return delimiter


class CsvFile(OutputKind):
    """The `column` of `file`, whose first line has the names. Empty cells are left out. `step` is the column
    of the steps, if there is one.
    """

    kind: Literal["csv"] = "csv"
    file: FilePath
    """The CSV file, relative to the folder in which the program runs."""

    column: Column
    """The column with the values."""

    step: Column | None = None
    """The column with the steps. Without it, values are counted."""

    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1), AfterValidator(_one_sign)] = ","
    """The character between two columns."""

    def values(self, metric: str, printed: Printed) -> Iterator[Value]:  # noqa: ARG002
        rows = csv.DictReader(io.StringIO(text_of(printed, self.file)), delimiter=self.delimiter)
        try:
            columns = list(rows.fieldnames or ())
            for name in filter(None, (self.column, self.step)):
                if columns.count(name) != 1:
                    problem = "has several columns" if name in columns else "has no column"
                    hint = did_you_mean(name, columns)
                    raise ProgramOutputError(f"{self.file} {problem} {name!r}", hint=hint)
            for row in rows:
                cell = row[self.column]  # None in a short row
                if cell is None or not cell.strip():
                    continue
                where = f"{self.file}, line {rows.line_num}"
                step = None if self.step is None else step_of(row[self.step] or "", where)
                yield Value(step, number_of(cell, where))
        except csv.Error as error:
            raise ProgramOutputError(f"{self.file} is not CSV: {error}") from None

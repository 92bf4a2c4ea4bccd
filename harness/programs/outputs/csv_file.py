"""Values in a column of a CSV file that the program writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import StringConstraints

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


class CsvFile(OutputKind):
    """The `column` of `file`, whose first line has the names. Empty cells are left out. `step` is the column
    of the steps, if there is one.
    """

    kind: Literal["csv"] = "csv"
    file: FilePath
    column: Column
    step: Column | None = None
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","

    def values(self, metric: str, printed: Printed) -> Iterator[Value]:  # noqa: ARG002
        rows = csv.DictReader(io.StringIO(text_of(printed, self.file)), delimiter=self.delimiter)
        try:
            for name in filter(None, (self.column, self.step)):
                if name not in (rows.fieldnames or ()):
                    raise ProgramOutputError(f"{self.file} has no column {name!r}")
            for row in rows:
                cell = row[self.column]
                if cell is None or not cell.strip():
                    continue
                where = f"{self.file}, line {rows.line_num}"
                step = None if self.step is None else step_of(row[self.step], where)
                yield Value(step, number_of(cell, where))
        except csv.Error as error:
            raise ProgramOutputError(f"{self.file} is not CSV: {error}") from None

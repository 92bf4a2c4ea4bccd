"""Values as lines of JSON on the standard output."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from harness.programs.outputs.base import OutputKind, Printed, ProgramOutputError, Value, number_of, step_of


class JsonLines(OutputKind):
    """`{"metric": "val_loss", "value": 2.31, "step": 100}`. The step may be missing. Lines that are not of
    this form are other messages of the program. `name` is the name of the metric in the lines, if the study
    uses another one.
    """

    kind: Literal["json-lines"] = "json-lines"
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, exclude_if=operator.not_
    )
    """The name of the metric in the lines, if it differs from the name in the study."""

    def values(self, metric: str, printed: Printed) -> Iterator[Value]:
        for number, line in enumerate(printed.lines, start=1):
            if not line.startswith("{") or '"metric"' not in line:
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise ProgramOutputError(f"line {number} of the output is not JSON: {line[:60]!r}") from None
            if isinstance(row, dict) and row.get("metric") == (self.name or metric):
                where = f"line {number} of the output"
                if "value" not in row:
                    raise ProgramOutputError(f"{where} has no value")
                step = row.get("step")
                yield Value(None if step is None else step_of(step, where), number_of(row["value"], where))

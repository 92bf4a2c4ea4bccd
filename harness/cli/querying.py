"""`harness query`: what the command prints."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from harness.cli.console import CommandOutput
from harness.errors import InputError
from harness.experiment import Workspace
from harness.store.query import Answer, ask
from harness.visible import without_formula

FORMATS = ("table", "csv")


def show_answer(workspace: Workspace, sql: str, output: CommandOutput, *, form: str) -> None:
    """Print the rows of a statement."""
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}", hint=f"use one of {', '.join(FORMATS)}")
    workspace.check_exists()
    answer = ask(workspace.location, sql)
    if form == "csv":
        output.export("".join(_csv(answer)))
    else:
        columns = _distinct(answer.columns)
        output.table((dict(zip(columns, row, strict=True)) for row in answer.rows), columns)


def _csv(answer: Answer) -> Iterator[str]:
    yield _line(answer.columns)
    for row in answer.rows:
        yield _line(row)


def _line(row: Sequence[Any]) -> str:
    text = io.StringIO()
    cells = [without_formula(cell) if isinstance(cell, str) else cell for cell in row]
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _distinct(columns: Sequence[str]) -> list[str]:
    """The names of the columns, of which no two are equal."""
    names: list[str] = []
    for column in columns:
        name, number = column, 2
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names.append(name)
    return names

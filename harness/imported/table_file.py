"""The rows of a CSV file, or of a file with a JSON object on each line."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from harness.errors import InputError, Location
from harness.programs.outputs.base import LARGEST_FILE

MOST_COLUMNS = 10_000
FORMS: dict[str, Literal["csv", "jsonl"]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class TableRow(NamedTuple):
    """The cells of a row by the names of their columns, and the line on which the row ends."""

    line: int
    cells: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A file of results with the names of its columns. Columns without a name are left out."""

    path: Path
    columns: tuple[str, ...]
    form: Literal["csv", "jsonl"]

    def rows(self) -> Iterator[TableRow]:
        """The rows one after the other; only one is in memory. Raises InputError, with the line."""
        return _csv_rows(self.path) if self.form == "csv" else _json_rows(self.path)

    def error(self, line: int, message: str, hint: str) -> InputError:
        """The error of a line of this file."""
        return _error(self.path, line, message, hint)


def open_table(path: Path) -> TableFile:
    """The file, of which only the columns were read so far. Raises InputError if it is not a table."""
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise InputError(
            "a file of results ends with .csv or .jsonl",
            at=Location(str(path)),
            hint="export the results as CSV, or as one JSON object on each line",
        )
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise _unreadable(path, error) from None
    if size is None:
        raise InputError(
            "this is not a file" if path.exists() else "there is no such file",
            at=Location(str(path)),
            hint="give a CSV file, or a file of JSON lines",
        )
    if size > LARGEST_FILE:
        raise InputError(
            f"the file is larger than {LARGEST_FILE >> 20} MiB",
            at=Location(str(path)),
            hint="export only the arm, the seed and the metrics, and only the last step of each trial",
        )
    columns = _csv_columns(path) if form == "csv" else _json_columns(path)
    if len(columns) > MOST_COLUMNS:
        raise _error(path, 1, f"more than {MOST_COLUMNS:,} columns", "export fewer columns")
    return TableFile(path=path, columns=columns, form=form)


def _lines(path: Path) -> Iterator[str]:
    """The lines with their ends. Raises InputError for what is not UTF-8, with the line."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise _error(path, 1, "the file is UTF-16", "save it as UTF-8")
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise _error(
                        path, number, f"byte {error.start + 1} of the line is not UTF-8", "save it as UTF-8"
                    ) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each record that is not empty; the first one has the names of the columns."""
    reader = csv.reader(_lines(path), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise _error(
            path, reader.line_num, f"not CSV: {error}", "put cells with commas or quotes in double quotes"
        ) from None


def _csv_columns(path: Path) -> tuple[str, ...]:
    for line, cells in _csv_records(path):
        names = [cell.strip() for cell in cells]
        if len(names) == 1:
            for delimiter, word in _OTHER_DELIMITERS.items():
                if delimiter in cells[0]:
                    raise _error(
                        path, line, f"the cells are separated by {word}", "save the file with commas"
                    )
        repeated = [name for name, number in Counter(names).items() if name and number > 1]
        if repeated:
            raise _error(path, line, f"two columns are named {repeated[0]!r}", "rename one of them")
        return tuple(filter(None, names))
    raise _error(path, 1, "the file is empty", "the first line names the columns")


def _csv_rows(path: Path) -> Iterator[TableRow]:
    records = _csv_records(path)
    first = next(records, None)
    names = [cell.strip() for cell in first[1]] if first else []
    for line, cells in records:
        if len(cells) != len(names):
            raise _error(
                path,
                line,
                f"the row has {len(cells)} cells, but the first line names {len(names)} columns",
                "put cells with commas in double quotes, or complete the row",
            )
        yield TableRow(line, {name: cell for name, cell in zip(names, cells, strict=True) if name})


def _json_columns(path: Path) -> tuple[str, ...]:
    columns: dict[str, None] = {}
    for row in _json_rows(path):
        columns |= dict.fromkeys(row.cells)
        if len(columns) > MOST_COLUMNS:
            break
    if not columns:
        raise _error(path, 1, "the file is empty", "write one JSON object on each line")
    return tuple(columns)


def _json_rows(path: Path) -> Iterator[TableRow]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_without_repeats)
            cells = _without_repeats(list(_flat("", value))) if isinstance(value, dict) else None
        except (ValueError, RecursionError) as error:
            raise _error(
                path, number, f"not a line of JSON: {error}", "write one JSON object on each line"
            ) from None
        if cells is None:
            raise _error(path, number, "the line is not a JSON object", "write one JSON object on each line")
        yield TableRow(number, cells)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _flat(before: str, value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The keys of inner objects are joined by dots: `config.seed`."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(f"{before}{key}.", inner)
        else:
            yield f"{before}{key}", inner


def _error(path: Path, line: int, message: str, hint: str) -> InputError:
    return InputError(message, at=Location(str(path), line), hint=hint)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"the file cannot be read: {error.strerror or error}",
        at=Location(str(path)),
        hint="see its permissions",
    )

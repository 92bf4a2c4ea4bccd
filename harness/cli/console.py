"""What commands print: colours and bars in a terminal, plain lines in a pipe, JSON on request. Notes and
errors go to standard error.

Texts may come from studies, files and other programs. They are printed without secrets, and with an escape
for every character that a terminal would not show as it is. Only JSON and exports are exact.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from harness.cli.progress import Lines, Progress, bar
from harness.cli.streams import has_terminal, terminal_console, write_note, write_output, writing_output
from harness.errors import message_line
from harness.masking import masked
from harness.visible import one_line, visible


@dataclass(frozen=True, kw_only=True)
class CommandOutput:
    """Where the results of a command go. The annotated fields are options of the command.

    Notes are for people: they go to standard error, and are left out with `quiet` and with `json`.
    """

    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print details, and the traceback of an error.")
    ] = False

    def note(self, message: str) -> None:
        if not self.quiet and not self.json:
            write_note(message_line(message) + "\n")

    def detail(self, message: str) -> None:
        if self.verbose:
            self.note(message)

    def data(self, value: Any) -> None:
        """Write a value as JSON. JSON has no NaN and no infinity: they become text."""
        write_output(self._json(value) + "\n")

    def document(self, fields: Mapping[str, Any]) -> None:
        """Write a JSON object as `data` does. The items of an iterator are written as they come."""
        before = "{\n"
        for name, value in fields.items():
            write_output(f"{before}  {self._json(name)}: ")
            if isinstance(value, Iterator):
                self._items(value)
            else:
                write_output(self._json(value).replace("\n", "\n  "))
            before = ",\n"
        write_output("\n}\n")

    def _items(self, values: Iterator[Any]) -> None:
        before = "[\n"
        for value in values:
            write_output(before + "    " + self._json(value).replace("\n", "\n    "))
            before = ",\n"
        write_output("[]" if before == "[\n" else "\n  ]")

    def _json(self, value: Any) -> str:
        return json_text(value, ascii_only=_encoding() != "utf-8")

    def line(self, text: str) -> None:
        """Write a text as one line. A tab stays: it separates fields."""
        write_output(visible(masked(text), keep="\t") + "\n")

    def lines(self, text: str) -> None:
        """Write a text that may have several lines."""
        write_output(visible(masked(text), keep="\t\n") + "\n")

    def export(self, text: str) -> None:
        """Write lines as they are, unless a person reads them in a terminal."""
        write_output(visible(text, keep="\t\n") if sys.stdout and sys.stdout.isatty() else text)

    def table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Write rows as JSON, as a table in a terminal, or as tab-separated lines with a header in a pipe,
        where they are written as they come.
        """
        if self.json:
            self.data(list(rows))
        elif has_terminal(sys.stdout):
            from rich.table import Table
            from rich.text import Text

            table = Table(box=None, pad_edge=False, header_style="bold")
            for column in columns:
                table.add_column(column.replace("_", " "), overflow="fold")
            for row in rows:
                table.add_row(*(Text(_cell(row.get(column))) for column in columns))
            with writing_output():
                terminal_console(sys.stdout).print(table)
        else:
            self.line("\t".join(columns))
            for row in rows:
                self.line("\t".join(_cell(row.get(column)) for column in columns))

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A bar in a terminal, lines in a pipe, nothing with `quiet` and with `json`."""
        if self.quiet or self.json:
            yield Progress()
        elif has_terminal(sys.stderr):
            with bar() as shown:
                yield shown
        else:
            yield Lines(self.note)


@dataclass(frozen=True, kw_only=True)
class TextOutput(CommandOutput):
    """For commands that print no JSON."""

    json: bool = False


_UNSAFE_IN_JSON = re.compile(r"[^\x00-\x7e]")


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """The value as JSON, in which characters that cannot be seen are escaped: it reads back exactly."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=ascii_only, allow_nan=False)
    return _UNSAFE_IN_JSON.sub(_json_character, text)


def _json_character(match: re.Match[str]) -> str:
    return match[0] if match[0] == visible(match[0]) else json.dumps(match[0])[1:-1]


def _encoding() -> str:
    name = (sys.stdout and sys.stdout.encoding) or "utf-8"
    return codecs.lookup(name).name


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        value = ", ".join(str(item) for item in value)
    return one_line(masked(str(value)))


def parts_as_json(parts: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The data of a study from the name and the data of each part. If the study has one part without a name,
    that is the data of the part; else it is a list under `parts`.
    """
    named = [{"part": name, **data} if name else data for name, data in parts]
    return named[0] if len(named) == 1 else {"parts": named}


def planted_text(plant: str) -> str:
    """What a command says about a run with a planted bug, before its results."""
    return f"planted bug: {plant}; no number of this run describes the real code"

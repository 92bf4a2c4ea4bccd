"""What commands print: colours and bars in a terminal, plain lines in a pipe, JSON on request; errors on
standard error.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ParamSpec

import typer

from harness.errors import HarnessError

P = ParamSpec("P")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone, and what was asked for.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more; show where an error was raised.")]

SOFTWARE, INTERRUPTED = 70, 130


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Errors that a person can act on become one line and their exit code; faults of the harness say how to
    learn more.
    """

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
            sys.stdout.flush()  # here a closed pipe can still be handled; at the interpreter's end it cannot
        except HarnessError as error:
            if kwargs.get("verbose"):
                traceback.print_exc()
            complain(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            complain("interrupted; the same command goes on where it stopped")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:  # noqa: BLE001  the last resort of every command: one line, exit 70
            if kwargs.get("verbose"):
                traceback.print_exc()
            complain(f"{type(error).__name__}: {error}; this is a fault of the harness, `-v` shows where")
            raise typer.Exit(SOFTWARE) from None

    return guarded


def complain(message: str) -> None:
    prefix = "\x1b[31merror:\x1b[0m" if sys.stderr.isatty() else "error:"
    sys.stderr.write(f"{prefix} {message}\n")


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where a command's results go.

    Notes are for people: they go to standard error, and nowhere when quiet or in JSON.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def note(self, message: str) -> None:
        if not self.quiet and not self.json:
            sys.stderr.write(message + "\n")

    def detail(self, message: str) -> None:
        if self.verbose:
            self.note(message)

    def data(self, value: Any) -> None:
        """A machine-readable answer."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def line(self, text: str) -> None:
        sys.stdout.write(text + "\n")

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Rows as JSON, as a drawn table in a terminal, or as tab-separated lines with a header in a pipe."""
        if self.json:
            self.data(list(rows))
        elif sys.stdout.isatty():
            from rich.console import Console
            from rich.table import Table
            from rich.text import Text

            table = Table(box=None, pad_edge=False, header_style="bold")
            for column in columns:
                table.add_column(column.replace("_", " "), overflow="fold")
            for row in rows:
                table.add_row(*(Text(_cell(row.get(column))) for column in columns))
            Console().print(table)
        else:
            self.line("\t".join(columns))
            for row in rows:
                self.line("\t".join(_cell(row.get(column)) for column in columns))

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A bar in a terminal, a line now and then in a pipe, nothing when quiet."""
        if self.quiet or self.json:
            yield Progress()
        elif sys.stderr.isatty():
            with _bar() as bar:
                yield bar
        else:
            yield _Lines(self)


class Progress:
    """A job of known size. This one says nothing."""

    def begin(self, what: str, total: float) -> None:
        """A new job of `total` units."""

    def advance(self, done: float, what: str | None = None) -> None:
        """`done` units are done by now; `what` is being done."""


class _Lines(Progress):
    def __init__(self, output: Output) -> None:
        self._output, self._total, self._tenth = output, 0.0, 0

    def begin(self, what: str, total: float) -> None:
        self._total, self._tenth = total, 0
        self._output.note(what)

    def advance(self, done: float, what: str | None = None) -> None:
        tenth = int(10 * done / self._total) if self._total else 10
        if tenth > self._tenth:
            self._tenth = tenth
            self._output.note(f"  {tenth * 10} %" + (f", {what}" if what else ""))


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as rich:

        class Bar(Progress):
            task: TaskID | None = None

            def begin(self, what: str, total: float) -> None:
                if self.task is not None:
                    rich.remove_task(self.task)
                self.task = rich.add_task(what, total=total)

            def advance(self, done: float, what: str | None = None) -> None:
                if self.task is not None:
                    rich.update(self.task, completed=done, description=what)

        yield Bar()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)

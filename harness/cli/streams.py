"""Standard output and standard error, whatever they lead to: a terminal, a pipe without a reader, a full
disk, an encoding that lacks most characters, or nothing at all.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from harness.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console


class ReaderGone(BrokenPipeError):  # noqa: N818  nothing went wrong
    """Whoever read standard output has closed it before its end, as `head` does. Only this is no fault: a
    pipe between processes of the harness breaks as well when one of them dies.
    """


def prepare_streams() -> None:
    """Call this once, before anything else is opened.

    A character that the encoding of a stream lacks becomes a replacement character. A closed descriptor is
    taken by the null device: the next file that is opened would get its number, and with it what others write
    to standard error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def write_output(text: str) -> None:
    """Raises OutputError if standard output cannot be written, and ReaderGone if nobody reads it."""
    with writing_output():
        sys.stdout.write(text)


def flush_output() -> None:
    """Raises OutputError and ReaderGone as `write_output`: most errors only show here."""
    with writing_output():
        sys.stdout.flush()


@contextmanager
def writing_output() -> Iterator[None]:
    """The block writes to standard output. Raises OutputError and ReaderGone as `write_output`."""
    if sys.stdout is None:
        raise OutputError("standard output is closed", hint="nothing could be printed")
    try:
        yield
    except BrokenPipeError:
        _discard(sys.stdout)
        raise ReaderGone from None
    except OSError as error:
        _discard(sys.stdout)
        raise OutputError(
            f"standard output cannot be written: {error.strerror}", hint="free some space, or print elsewhere"
        ) from None


def write_note(text: str) -> None:
    """Write to standard error. If it cannot be written, nobody reads it, and the command goes on."""
    try:
        sys.stderr.write(text)
    except OSError:
        _discard(sys.stderr)


def has_terminal(stream: TextIO) -> bool:
    """Whether a stream leads to a terminal that understands escape sequences."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colours(stream: TextIO) -> bool:
    """Whether colours and bold text are wanted on a stream (https://no-color.org)."""
    return has_terminal(stream) and not os.environ.get("NO_COLOR")


def terminal_console(stream: TextIO) -> Console:
    """What writes tables and bars on a stream."""
    from rich.console import Console

    return Console(file=stream, color_system="auto" if has_colours(stream) else None, highlight=False)


def _discard(stream: TextIO) -> None:
    """Send to nowhere what a stream still holds: the interpreter writes it when it ends, and would fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

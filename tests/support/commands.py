"""Runs the command line in a fork of the tests, which have imported it already, on any standard streams."""

from __future__ import annotations

import io
import os
import pty
import sys
import termios
import tty
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rich.progress
import rich.table  # noqa: F401  imported here and shared by every fork, as the others are

from harness.cli.app import main

COLUMNS = 400


@dataclass(frozen=True)
class Ended:
    """How a command ended. On a terminal, `err` is part of `out`."""

    code: int
    out: bytes
    err: bytes


def forked(
    arguments: Sequence[str] | Callable[[], None],
    *,
    folder: Path | bytes = Path(),
    variables: Mapping[str, str] = {},
    encoding: str = "utf-8",
    out: str | None = None,
    err: str | None = None,
) -> Ended:
    """Run a command, or a function, in `folder` with these environment variables beside those of the tests.

    `out` and `err` are files that the streams are opened on, or `-` for a closed descriptor. Else they are
    captured.
    """
    streams = [os.memfd_create(name) for name in ("out", "err")]
    pid = os.fork()
    if not pid:
        for target, (captured, file) in enumerate(zip(streams, (out, err), strict=True), start=1):
            if file == "-":
                os.close(target)
            else:
                os.dup2(captured if file is None else os.open(file, os.O_WRONLY), target)
        _run(arguments, folder, variables, encoding)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    texts = [os.pread(stream, 10_000_000, 0) for stream in streams]
    for stream in streams:
        os.close(stream)
    return Ended(code, *texts)


def forked_on_a_terminal(
    arguments: Sequence[str] | Callable[[], None],
    *,
    folder: Path = Path(),
    variables: Mapping[str, str] = {},
) -> Ended:
    """Run a command, or a function, whose streams are one terminal."""
    terminal, streams = pty.openpty()
    tty.setraw(streams, termios.TCSANOW)  # so that the terminal adds nothing to what it gets
    termios.tcsetwinsize(streams, (50, COLUMNS))
    pid = os.fork()
    if not pid:
        for target in range(3):
            os.dup2(streams, target)
        _run(arguments, folder, {"TERM": "xterm-256color", **variables}, "utf-8")
    os.close(streams)
    written = b""
    try:
        while part := os.read(terminal, 65536):
            written += part
    except OSError:
        pass  # the command has ended
    os.close(terminal)
    return Ended(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written, b"")


def _run(
    arguments: Sequence[str] | Callable[[], None],
    folder: Path | bytes,
    variables: Mapping[str, str],
    encoding: str,
) -> None:
    """Become the command and end."""
    try:
        for name in [name for name in os.environ if name in ("NO_COLOR", "COLUMNS")]:
            del os.environ[name]
        os.environ.update(variables)
        os.chdir(folder)
        for number, name in ((1, "stdout"), (2, "stderr")):
            setattr(sys, name, _stream(number, encoding))
        if callable(arguments):
            arguments()
            sys.exit(0)
        sys.argv = ["harness", *arguments]
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except OSError:
            code = 120  # as the interpreter does
        os._exit(code)
    finally:
        os._exit(99)


def _stream(descriptor: int, encoding: str) -> io.TextIOWrapper | None:
    """A standard stream as the interpreter makes it: None if the descriptor is closed."""
    try:
        os.fstat(descriptor)
    except OSError:
        return None
    binary = open(descriptor, "wb", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        binary, encoding, "strict", write_through=False, line_buffering=descriptor == 2 or binary.isatty()
    )

"""Runs a program in a working folder of its own, and says how it ended."""

from __future__ import annotations

import codecs
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.programs.outputs import Printed

LAST_LINES = 50
"""Lines of its output that the error of a program shows."""

_PIECE, _LOOK_S = 2**16, 0.05


class ProgramError(HarnessError):
    """A program could not be started, or it ended with an error."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A program that ended without an error: how long it ran, and what it printed. `last` are the last lines
    of both of its outputs.
    """

    seconds: float
    printed: Printed
    last: tuple[str, ...]


def find_program(word: str, folder: Path, path: str | None = None) -> str:
    """The program that the first word of a command line names: a file of the source if it has a slash, or
    else one in a folder of `path`, by default of PATH.

    Raises InputError if there is none.
    """
    if "/" in word:
        file = folder / word
        if file.is_file() and os.access(file, os.X_OK):
            return str(file)
        raise InputError(f"{word} is not a program among the files of the study", hint="is it executable?")
    known = shutil.which(word, path=path)
    if known is None:
        raise InputError(f"there is no program {word!r}", hint="`{python}` is the Python of the harness")
    return os.path.abspath(known)  # noqa: PTH100  a link keeps its name


def run_program(words: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> Ended:
    """Run a program until it ends, whatever the processes do that it leaves. What it prints goes to the
    outputs of this process as well.

    A program that a signal ended ends this process by the same signal, so that whoever waits for this process
    sees the cause. Raises ProgramError if the program cannot be started or ends with an error. The last
    lines that it printed are a note of the error.
    """
    started = time.perf_counter()
    try:
        process = subprocess.Popen(
            [find_program(words[0], folder, variables.get("PATH", "")), *words[1:]],
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise ProgramError(f"cannot start {words[0]!r}: {error.strerror}") from None
    printed, both, newest = bytearray(), bytearray(), 0
    sys.stdout.flush()
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        outputs = {process.stdout.fileno(): 1, process.stderr.fileno(): 2}
        try:
            for output, piece in _pieces(process, list(outputs)):
                _write(outputs[output], piece)
                if output != newest and both and not both.endswith(b"\n"):
                    both += b"\n"  # the beginning of a line is not continued by the other output
                both += piece
                newest = output
                if outputs[output] == 1:
                    printed += piece
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - started
    if process.returncode < 0:
        _end_by(-process.returncode)
    last = [line for line in _lines(both) if line.strip()][-LAST_LINES:]
    if process.returncode:
        message = f"the program ended with exit code {process.returncode}"
        raise with_output(ProgramError(": ".join([message, *last[-1:]])), last)
    return Ended(
        seconds=seconds, printed=Printed(lines=tuple(_lines(printed)), folder=folder), last=tuple(last)
    )


def with_output(error: HarnessError, last: Sequence[str]) -> HarnessError:
    """The error, whose traceback ends with the last lines that a program printed."""
    error.add_note(
        "\n".join(["The program printed last:", *last]) if last else "The program printed nothing."
    )
    return error


def _pieces(process: subprocess.Popen[bytes], outputs: list[int]) -> Iterator[tuple[int, bytes]]:
    """What the program prints until it ends, with the output. Processes that it leaves may hold its outputs
    open and go on printing.
    """
    while outputs and process.poll() is None:
        ready, _, _ = select.select(outputs, [], [], _LOOK_S)
        for output in ready:
            piece = os.read(output, _PIECE)
            if piece:
                yield output, piece
            else:
                outputs.remove(output)
    process.wait()
    for output in outputs:
        left = int.from_bytes(fcntl.ioctl(output, termios.FIONREAD, bytes(4)), sys.byteorder)
        if left:
            yield output, os.read(output, left)


def _write(descriptor: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]


def _lines(printed: bytearray) -> list[str]:
    """The lines of an output. A carriage return ends a line too, as that of a progress bar does."""
    text = codecs.decode(bytes(printed), "utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def _end_by(number: int) -> None:
    """End this process by a signal, as one that does not handle it."""
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

"""Runs a program in a working folder of its own, and says how it ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.programs.outputs import Printed

MOST_LINE = 2**20
"""Characters of a line of output that are looked at."""


class ProgramError(HarnessError):
    """A program could not be started, or it ended with an error."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A program that ended without an error: how long it ran, and what it printed."""

    seconds: float
    printed: Printed


def find_program(word: str, folder: Path) -> str:
    """The program that the first word of a command line names: a file of the source if it has a slash, or
    else one on the path.

    Raises InputError if there is none.
    """
    if "/" in word:
        file = folder / word
        if file.is_file() and os.access(file, os.X_OK):
            return str(file)
        raise InputError(f"{word} is not a program among the files of the study", hint="is it executable?")
    known = shutil.which(word)
    if known is None:
        raise InputError(f"there is no program {word!r}", hint="`{python}` is the Python of the harness")
    return known


def run_program(words: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> Ended:
    """Run a program to its end. What it prints goes to this process's output as well.

    A program that a signal ended ends this process by the same signal, so that whoever waits for this process
    sees the cause. Raises ProgramError if the program cannot be started or ends with an error.
    """
    lines: list[str] = []
    started = time.perf_counter()
    try:
        process = subprocess.Popen(
            [find_program(words[0], folder), *words[1:]],
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise ProgramError(f"cannot start {words[0]!r}: {error.strerror}") from None
    assert process.stdout is not None
    with process, process.stdout as output:
        while line := output.readline(MOST_LINE):
            sys.stdout.write(line)
            lines.append(line.rstrip("\r\n"))
        sys.stdout.flush()
        status = process.wait()
    seconds = time.perf_counter() - started
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -status)
    if status:
        last = next((line for line in reversed(lines) if line.strip()), "")
        raise ProgramError(
            f"the program ended with exit code {status}" + (f" after {last!r}" if last else "")
        )
    return Ended(seconds=seconds, printed=Printed(lines=tuple(lines), folder=folder))

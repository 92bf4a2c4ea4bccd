"""Every error that the harness raises on purpose, and the exit code with which it ends a command.

    HarnessError                     70  a fault of the harness or of this machine
    ├── InputError                    2  something a person wrote or asked for; nothing was written
    │   ├── StudyError                2  a study file, with file, line and column
    │   ├── CorpusError               2  a corpus: unknown, unavailable or damaged
    │   └── StoreError                2  a results database: unreadable, of another kind or of a newer version
    ├── TrialError                    3  some trials failed; the others have finished
    ├── ChangedError                  4  nothing is decided: the run stopped, because its code or a file
    │                                    changed
    ├── InvalidError                  5  finished, but something is invalid: a broken invariant, an undeclared
    │                                    difference, a report that does not agree with the store, a figure of
    │                                    calibration that is out of bounds
    ├── StoreLostError                6  the results database failed after something had been written; what it
    │                                    acknowledged is kept, and the same command goes on from there
    └── OutputError                  74  standard output cannot be written: it is closed, or its disk is full

`harness.exit_codes` lists all codes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from harness.exit_codes import ExitCode
from harness.masking import masked
from harness.visible import shortened, visible


@dataclass(frozen=True, slots=True)
class Location:
    """A location in a file that a person wrote. Lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class HarnessError(Exception):
    """What happened, where, and what to do about it."""

    exit_code = ExitCode.FAULT

    def __init__(self, message: str, *, at: Location | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint

    def __str__(self) -> str:
        """One line: `file:line:column: message; hint`."""
        location = f"{message_line(str(self.at))}: " if self.at else ""
        advice = f"; {message_line(self.hint)}" if self.hint else ""
        return f"{location}{message_line(self.message)}{advice}"


class InputError(HarnessError):
    exit_code = ExitCode.BAD_INPUT


class StudyError(InputError):
    """`others` has one line for each other problem of the same study."""

    def __init__(
        self, message: str, *, at: Location | None = None, hint: str | None = None, others: Iterable[str] = ()
    ) -> None:
        super().__init__(message, at=at, hint=hint)
        self.others = tuple(others)


class CorpusError(InputError):
    pass


class StoreError(InputError):
    pass


class TrialError(HarnessError):
    exit_code = ExitCode.FAILED_TRIALS


class ChangedError(HarnessError):
    exit_code = ExitCode.UNDECIDED


class InvalidError(HarnessError):
    exit_code = ExitCode.INVALID


class StoreLostError(HarnessError):
    exit_code = ExitCode.STORE_LOST


class OutputError(HarnessError):
    exit_code = ExitCode.OUTPUT_LOST


def message_line(text: str) -> str:
    """A message as one line, without secrets, invisible characters and the middle of what is too long."""
    return visible(shortened(masked(text)))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint for a misspelt name: the nearest known names, or all of them if no name is near and they are
    few.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    if names and len(names) <= 20:
        return "known: " + ", ".join(names)
    return None

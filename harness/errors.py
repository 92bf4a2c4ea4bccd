"""Every error that the harness raises on purpose, and the exit code each one ends a command with.

    HarnessError                     70  a fault of the harness or of this machine
    ├── InputError                    2  something a person wrote or asked for; nothing was written
    │   ├── StudyError                2  a study file, with file, line and column
    │   ├── CorpusError               2  a corpus: unknown, unavailable, damaged
    │   └── StoreError                2  a results database: unreadable, of another kind, of a newer version
    ├── TrialError                    3  some trials failed; the rest is there, and the reasons are told
    └── InvalidError                  5  finished, but something does not count: a broken invariant, an
    undeclared difference,
                                         a report that the store does not give, a figure of calibration out of
                                         bounds

0 is success, 130 an interruption from the keyboard.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file that a person wrote; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class HarnessError(Exception):
    """What happened, where, and what to do about it."""

    exit_code = 70

    def __init__(self, message: str, *, at: Location | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint

    def __str__(self) -> str:
        """One line: `file:line:column: message; hint`."""
        place = f"{self.at}: " if self.at else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"


class InputError(HarnessError):
    exit_code = 2


class StudyError(InputError):
    pass


class CorpusError(InputError):
    pass


class StoreError(InputError):
    pass


class TrialError(HarnessError):
    exit_code = 3


class InvalidError(HarnessError):
    exit_code = 5


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint for a misspelt name: the nearest known ones, or all of them when none is near and they are few."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    if names and len(names) <= 16:
        return "known: " + ", ".join(names)
    return None

"""What the messages of a database mean, and whether waiting helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import DBAPIError, ProgrammingError

from harness.errors import HarnessError, StoreError

Trouble = Literal["server", "disk", "lock"]
"""What may pass: the server cannot be reached, the disk is full or fails, or another program holds a lock."""

BUSY_SECONDS = 30.0
"""How long one step waits for the lock of a SQLite database."""


class DatabaseError(StoreError):
    """The database failed. `trouble` is None if waiting is useless."""

    trouble: Trouble | None = None


class TrialTakenError(HarnessError):
    """A trial may not begin, because it counts already or because another driver has it."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A message for people, what to do, and the trouble if it may pass."""

    message: str
    hint: str | None
    trouble: Trouble | None = None


DAMAGED = Meaning(
    "the database is damaged",
    "`harness store check` shows more; restore it from a copy, or choose another file with --store",
)

DAMAGED_LOG = Meaning(
    "the write-ahead log of the database is damaged, so SQLite would forget acknowledged transactions",
    "restore the database and its file `-wal` from a copy; without that file it has lost what was in it",
)

READ_ONLY_DISK = Meaning(
    "the file system of the database is read-only",
    "mount it so that it can be written, or choose another file with --store",
    "disk",
)

# By a part of the message of SQLite or of a server in lower case. The first match counts.
_MEANINGS = {
    "file is not a database": Meaning("this is not a SQLite database", "choose another file with --store"),
    "malformed": DAMAGED,
    "could not decode to utf-8": DAMAGED,
    "database is locked": Meaning(
        f"another program has locked the database for more than {BUSY_SECONDS:.0f} seconds",
        "close the program that writes to it and try again",
        "lock",
    ),
    "readonly database": Meaning(
        "the database is read-only", "check the permissions of the file and its folder", "disk"
    ),
    "unable to open database file": Meaning(
        "the database cannot be opened",
        "check that its folder exists and that you may write to both",
        "disk",
    ),
    "disk is full": Meaning(
        "the disk is full; this step was not recorded", "free some space and run again", "disk"
    ),
    "disk i/o error": Meaning(
        "the disk cannot be read or written; this step was not recorded",
        "check the disk for free space and errors",
        "disk",
    ),
    "permission denied": Meaning("the database user lacks a permission", "grant it, or choose another user"),
}

# By the beginning of a code of PostgreSQL (appendix "PostgreSQL Error Codes" of its manual).
_CODES: dict[str, Trouble] = {
    "08": "server",  # connection exceptions
    "57P": "server",  # the server was stopped, or is just starting
    "53300": "server",  # too many connections
    "25006": "server",  # a standby that does not accept writes yet
    "40": "server",  # the transaction was rolled back: deadlock, conflict
    "53": "disk",  # disk full, out of memory
    "58": "disk",  # errors of the server's system
    "55P03": "lock",
}


def meaning(error: DBAPIError) -> Meaning | None:
    """What an error of a database means. None if it is a mistake in the SQL of the harness."""
    text = " ".join(str(error.orig).split())
    for part, known in _MEANINGS.items():
        if part in text.lower():
            return known
    if isinstance(error, ProgrammingError):
        return None
    return Meaning(f"the database reports an error: {text}", None, _trouble(error))


def _trouble(error: DBAPIError) -> Trouble | None:
    if error.connection_invalidated:
        return "server"
    code = getattr(error.orig, "sqlstate", "")
    if code is None:  # there was no connection that could have given a code
        return "server"
    return next((trouble for begin, trouble in _CODES.items() if code.startswith(begin)), None)

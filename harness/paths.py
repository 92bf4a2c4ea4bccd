"""Paths as people write them, and the home of the user."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import InputError, Location


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` as the home of the user.

    Raises InputError if this home is unknown: nothing may be written into a folder that is called `~`.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            "the home that ~ stands for is unknown", at=Location(str(path)), hint="give the full path"
        ) from None


def is_file(path: Path) -> bool:
    """Whether there is a file. False for what cannot be the name of one, for example because it is too
    long.
    """
    try:
        return path.is_file()
    except OSError:
        return False


def nearest(path: Path) -> Path:
    """The path, or the nearest one above it that exists."""
    existing = path.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    return existing


def is_read_only(path: Path) -> bool:
    """Whether the file system of a path, which must exist, is read-only for everybody."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def home() -> Path | None:
    """The home of the user. None if it is unknown, as in a container whose user has no entry in passwd."""
    path = os.path.expanduser("~")  # noqa: PTH111  Path.home would raise an error
    return Path(path) if path.startswith("/") else None


def home_is_writable() -> bool:
    """Whether programs that keep files in the home of the user can do so."""
    path = home()
    return path is not None and os.access(path, os.W_OK | os.X_OK)

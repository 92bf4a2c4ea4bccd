"""Files that a gate writes: complete, or not at all."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError, Location


def write_file(file: Path, text: str) -> None:
    """Replace a file by this text. If that is impossible, the file stays as it was.

    Raises InputError that says why.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        try:
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", at=Location(str(file))) from None

"""What every kind of output shares: values by step, the files of a program, and the error for what cannot be
read.
"""

from __future__ import annotations

import math
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, StringConstraints

from harness.config import Config
from harness.errors import HarnessError

LARGEST_FILE = 256 * 2**20
"""Bytes of a file of results that is read."""


class Value(NamedTuple):
    """One value of a metric. The step is None if the program does not give it: then values are counted."""

    step: int | None
    value: float


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What a program left: the lines of its standard output, and the folder in which it ran."""

    lines: tuple[str, ...]
    folder: Path


class ProgramOutputError(HarnessError):
    """A program's output is not what the study says."""


def _inside(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError("give a path inside the working folder of the program, without `..`")
    return path


FilePath = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_inside)]
"""A file, relative to the working folder of the program."""


class OutputKind(Config, ABC):
    """A place where a program writes the values of a metric."""

    @abstractmethod
    def values(self, metric: str, printed: Printed) -> Iterable[Value]:
        """The values of the metric, in their order. Raises ProgramOutputError if the place cannot be read."""


def text_of(printed: Printed, file: str) -> str:
    """The text of a file of the program. Raises ProgramOutputError if there is none or it is too large."""
    path = printed.folder / file
    try:
        entry = path.stat()
        if not stat.S_ISREG(entry.st_mode):  # a pipe or a device may never end
            raise ProgramOutputError(f"{file} is not a file")
        if entry.st_size > LARGEST_FILE:
            raise ProgramOutputError(f"{file} is larger than {LARGEST_FILE >> 20} MiB")
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise ProgramOutputError(f"the program wrote no file {file}") from None
    except OSError as error:
        raise ProgramOutputError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ProgramOutputError(f"{file} is not text in UTF-8") from None


def number_of(value: object, where: str) -> float:
    """The value as a number; NaN and infinities are numbers. Raises ProgramOutputError if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str) and "_" not in value:  # Python reads 1_0 as ten, and nobody else does
        try:
            return float(value)
        except ValueError:
            pass
    raise ProgramOutputError(f"{where}: {str(value)[:60]!r} is not a number")


def step_of(value: object, where: str) -> int:
    """The value as a step. Raises ProgramOutputError if it is not a whole number from 0 on."""
    if type(value) is int and value >= 0:
        return value
    number = number_of(value, where)
    if not number.is_integer() or number < 0:
        raise ProgramOutputError(f"{where}: {str(value)[:60]!r} is not a step")
    return int(number)

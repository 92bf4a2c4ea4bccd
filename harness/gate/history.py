"""What the benchmarks took in the revisions that gates accepted, in one file for all gates of a workspace.

A line has one revision on one machine. The figures of two lines are of different days, so they are no pairs.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from harness.config import Config
from harness.errors import InputError, Location
from harness.gate.files import write_file

HISTORY_FILE = "history.jsonl"


class RecordedTime(Config):
    """The median of a benchmark in seconds, and the digest of the code of the benchmark."""

    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    code: str


class AcceptedRevision(Config):
    """The times of one revision on one machine with its software. `committed` is when its commit was made."""

    revision: str
    committed: datetime
    machine: str
    benchmarks: Mapping[str, RecordedTime]


@dataclass(frozen=True, kw_only=True)
class BenchmarkHistory:
    """The seconds of one benchmark, with the same code and on the same machine, from the earliest commit to
    the newest one.
    """

    benchmark: str
    machine: str
    code: str
    revisions: tuple[str, ...] = ()
    committed: tuple[datetime, ...] = ()
    seconds: tuple[float, ...] = ()


def read_history(file: Path) -> list[AcceptedRevision]:
    """Every line of the file, or nothing if there is no file. Raises InputError if a line is damaged."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the history cannot be read: {error}", at=Location(str(file))) from None
    return [_line(file, number, line) for number, line in enumerate(text.splitlines(), start=1)]


def _line(file: Path, number: int, text: str) -> AcceptedRevision:
    try:
        made = AcceptedRevision.model_validate_json(text)
        if made.committed.tzinfo is None:
            raise ValueError("a time without its zone")
    except (ValidationError, ValueError):
        raise InputError(
            "this line is no accepted revision",
            at=Location(str(file), number),
            hint="delete the line, or move the file away to begin a new history",
        ) from None
    return made


def record(file: Path, accepted: Sequence[AcceptedRevision]) -> list[AcceptedRevision]:
    """Add the times that the file does not have yet: a benchmark of a revision has one time on each machine,
    which is the first one. Returns all lines.

    Raises InputError if the file is damaged or cannot be written; it then stays as it was.
    """
    if not accepted:
        return read_history(file)
    try:
        lock = file.with_name(f".{file.name}.lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", at=Location(str(file))) from None
    with lock:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        lines = read_history(file)
        new = [*_new(lines, accepted)]
        lines += new
        if new:
            write_file(file, "".join(f"{one.model_dump_json()}\n" for one in lines))
    return lines


def _new(
    lines: Sequence[AcceptedRevision], accepted: Iterable[AcceptedRevision]
) -> Iterator[AcceptedRevision]:
    known = {(one.revision, one.machine, name) for one in lines for name in one.benchmarks}
    for one in accepted:
        times = {
            name: time
            for name, time in one.benchmarks.items()
            if (one.revision, one.machine, name) not in known
        }
        known |= {(one.revision, one.machine, name) for name in times}
        if times:
            yield one.model_copy(update={"benchmarks": times})


def benchmark_histories(lines: Iterable[AcceptedRevision]) -> list[BenchmarkHistory]:
    """The history of every benchmark: one for each machine and each state of its code, sorted by name."""
    histories: dict[tuple[str, str, str], BenchmarkHistory] = {}
    for line in sorted(lines, key=lambda one: one.committed):
        for name, time in line.benchmarks.items():
            key = (name, line.machine, time.code)
            before = histories.get(
                key, BenchmarkHistory(benchmark=name, machine=line.machine, code=time.code)
            )
            histories[key] = replace(
                before,
                revisions=(*before.revisions, line.revision),
                committed=(*before.committed, line.committed),
                seconds=(*before.seconds, time.seconds),
            )
    return [histories[key] for key in sorted(histories)]

"""Why a trial has no result: one name for each kind of cause, in the store, in reports and in messages."""

from __future__ import annotations

import errno
from enum import StrEnum

FULL_DISK_STATUS = 74
"""The exit status of a worker that could not write its events, because the disk was full."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_MEMORY = ("can't allocate memory", "not enough memory")
"""What torch writes, in an error of no class of its own, if the host has no memory."""


class Cause(StrEnum):
    """The kind of thing that ended a trial without a result."""

    ERROR = "error"
    """The trial raised an exception."""
    MEMORY_ERROR = "MemoryError"
    CUDA_MEMORY = "CUDA out of memory"
    BROKEN_EVENT = "broken event line"
    """The trial wrote something that is not an event, or two values of one metric at one step."""
    NO_RESULT = "exit without a result"
    SEGFAULT = "segmentation fault"
    CRASH = "crash"
    """Another signal that a process gets by its own fault, such as SIGABRT, which an assertion sends."""
    TIME_LIMIT = "time limit"
    MEMORY_LIMIT = "memory limit"
    OUTPUT_LIMIT = "output flood"
    HANG = "hang"
    """The trial neither wrote an event nor used a processor for a long time."""

    KILLED = "killed from outside"
    HOST_MEMORY = "host out of memory"
    FULL_DISK = "full disk"
    LOST_WORKER = "lost worker"
    """The process or the machine on which the trial ran has gone."""

    STOPPED = "stopped"
    """The driver stopped the trial on purpose: a person interrupted the run, or a search pruned the trial."""

    @property
    def transient(self) -> bool:
        """Whether the cause lies outside of the trial, so that another attempt may succeed. All other causes
        would only come again.
        """
        return self in _TRANSIENT


_TRANSIENT = frozenset({Cause.KILLED, Cause.HOST_MEMORY, Cause.FULL_DISK, Cause.LOST_WORKER})


def failure_text(cause: str | None, error: str | None) -> str:
    """Why a trial has no result: the name of the cause, unless it is an exception, before its message."""
    message = error or "no reason was recorded"
    if cause is None or cause == Cause.ERROR or cause in message:
        return message
    return f"{cause}: {message}"


def cause_of_error(error: BaseException) -> Cause:
    """The cause of an exception in a trial; the errors from which it was raised count as well."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        cause = _cause_of_one(link)
        if cause is not None:
            return cause
        link = link.__cause__ or link.__context__
    return Cause.ERROR


def _cause_of_one(error: BaseException) -> Cause | None:
    kind = type(error)
    if isinstance(error, MemoryError):
        return Cause.MEMORY_ERROR
    if kind.__name__ == "OutOfMemoryError" and kind.__module__.partition(".")[0] == "torch":
        return Cause.CUDA_MEMORY
    if isinstance(error, OSError) and error.errno in _FULL:
        return Cause.FULL_DISK
    # written in Rust, it has the number of the error only in its text
    if kind.__name__ == "SafetensorError" and any(f"(os error {number})" in str(error) for number in _FULL):
        return Cause.FULL_DISK
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY):
        return Cause.MEMORY_ERROR
    return None

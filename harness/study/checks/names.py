"""Words that must be known: the one that is not is told with its place and a suggestion."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import StudyError, did_you_mean
from harness.metrics import METRICS
from harness.study.reading.yaml_document import KeyPath, Located
from harness.study.schema import StudyBase
from harness.tasks.base import Task


def check_known(
    word: str | None, known: Iterable[str | None], problem: str, whole: Located, path: KeyPath
) -> None:
    """The value at `path`. Raises StudyError."""
    names = set(known)
    if word not in names:
        hint = did_you_mean(str(word), filter(None, names))
        raise StudyError(f"{problem} {word!r}", at=whole.place(path, of_value=True), hint=hint)


def check_known_key(word: str, known: Iterable[str], problem: str, whole: Located, path: KeyPath) -> None:
    """The key at `path`. Raises StudyError."""
    names = set(known)
    if word not in names:
        raise StudyError(f"{problem} {word!r}", at=whole.place(path), hint=did_you_mean(word, names))


def check_metric(
    name: str, study: StudyBase, whole: Located, path: KeyPath, task: type[Task], *, directed: bool = True
) -> None:
    """A metric of the task and, where it is `directed`, one of which more or less is better.

    Raises StudyError.
    """
    check_known(name, task.metrics, f"task {study.task!r} produces no metric", whole, path)
    if directed and METRICS[name].better == "neither":
        raise StudyError(
            f"neither more nor less of {name} is better, so arms cannot be compared by it",
            at=whole.place(path, of_value=True),
        )

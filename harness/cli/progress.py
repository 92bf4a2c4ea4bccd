"""The progress of a job: a bar in a terminal, lines with times in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from harness.cli.streams import terminal_console
from harness.errors import message_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Task, TaskID
    from rich.text import Text

QUIET_S = 30.0
"""In a pipe, a line comes at first, then at most so often, or when another tenth of the job is done."""
REFRESHES_PER_SECOND = 2.0
"""A bar that moves more often would disturb the trial that is timed beside it."""


class Progress:
    """The progress of a job of known size. This class shows nothing."""

    shows = False

    def begin(self, what: str, total: float) -> None:
        """A job of `total` units begins."""

    def advance(self, done: float, what: str | None = None, *, detail: str = "", left: str = "") -> None:
        """`done` units are done so far; `what` names the current one, `detail` says how far that is, and
        `left` how long all others take.
        """


class Lines(Progress):
    """Lines with the time of day."""

    shows = True

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        seconds: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._write, self._seconds, self._clock = write, seconds, clock
        self._total, self._tenth, self._due, self._first = 0.0, 0, 0.0, True

    def begin(self, what: str, total: float) -> None:
        self._total, self._tenth, self._due = total, 0, self._seconds() + QUIET_S
        self._first = True
        self._write(f"{self._time()} {what}")

    def advance(self, done: float, what: str | None = None, *, detail: str = "", left: str = "") -> None:
        share = done / self._total if self._total else 1.0
        first, self._first = self._first and bool(detail), False
        if first or int(10 * share) > self._tenth or self._seconds() >= self._due:
            self._tenth, self._due = int(10 * share), self._seconds() + QUIET_S
            self._write(", ".join(filter(None, (f"{self._time()} {100 * share:.0f} %", what, detail, left))))

    def _time(self) -> str:
        return f"{self._clock():%H:%M:%S}"


@contextmanager
def bar() -> Iterator[Progress]:
    """A bar on standard error, which is gone in the end."""
    from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class LeftColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            if left := task.fields.get("left"):
                return Text(left)
            return TimeRemainingColumn().render(task)

    class TwoLines(RichProgress):
        detail = ""

        def get_renderables(self) -> Iterable[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            if self.detail:
                yield Text(self.detail, no_wrap=True, overflow="ellipsis")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        LeftColumn(),
    )
    with TwoLines(
        *columns,
        console=terminal_console(sys.stderr),
        transient=True,
        refresh_per_second=REFRESHES_PER_SECOND,
    ) as rich:

        class Bar(Progress):
            shows = True
            task: TaskID | None = None

            def begin(self, what: str, total: float) -> None:
                if self.task is not None:
                    rich.remove_task(self.task)
                self.task = rich.add_task(message_line(what), total=total)

            def advance(
                self, done: float, what: str | None = None, *, detail: str = "", left: str = ""
            ) -> None:
                if self.task is not None:
                    rich.detail = message_line(detail)
                    description = None if what is None else message_line(what)
                    rich.update(self.task, completed=done, description=description, left=left)

        yield Bar()

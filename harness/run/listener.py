"""Who is informed of the progress of a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.run.backends.base import Finished
from harness.run.programme import WorkLeft
from harness.store.rows import Run, TrialRow
from harness.trial.outcome import Sample
from harness.trial.spec import TrialSpec


class Listener:
    """Receives the progress of a study while it runs. This one ignores everything; subclasses show it."""

    def fetching(self, corpus: str, done: int, total: int) -> None:
        """`done` of the `total` bytes of a corpus have been downloaded."""

    def parts(self, sizes: tuple[int, ...], plans: Sequence[Sequence[TrialSpec]] = ()) -> None:
        """The largest possible number of trials of each part of the study, in the order in which they run,
        and these trials, if they are known.
        """

    def begin(self, run: Run, left: WorkLeft, earlier: Sequence[TrialRow]) -> None:
        """A part begins, of which this is left. `earlier` are the trials of earlier sessions."""

    def trial(self, spec: TrialSpec) -> None:
        """A trial starts."""

    def running(self, spec: TrialSpec, last_samples: Callable[[], list[Sample]]) -> None:
        """A trial runs. This is called about once per second. `last_samples` reads its newest samples."""

    def finished(self, spec: TrialSpec, finished: Finished) -> None:
        """A trial has ended, successfully or not."""

    def waiting(self, message: str) -> None:
        """Nothing goes on until another driver, or the store, allows it. The message says what it is."""
        self.note(message)

    def note(self, message: str) -> None:
        """A message that a person should read."""

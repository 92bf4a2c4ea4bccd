"""Shows what a driver does: which trial runs and how far it is, and how long all others take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from harness.cli.console import CommandOutput
from harness.cli.progress import Progress
from harness.config import canonical_json
from harness.experiment import Listener
from harness.experiment.inside_trial import LastValue, reached
from harness.experiment.time_left import TimeLeft, current_trial, kind_of
from harness.run.backends.base import Finished
from harness.run.programme import WorkLeft
from harness.store.rows import Run, TrialRow
from harness.trial.causes import failure_text
from harness.trial.outcome import Sample
from harness.trial.spec import TrialSpec


class ProgressListener(Listener):
    """Shows the progress of an experiment, counted over all parts of the study. The trials are shown as
    `trial 3 of 129`.
    """

    def __init__(
        self, output: CommandOutput, progress: Progress, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._output, self._progress, self._corpus, self._seconds = output, progress, "", seconds
        self._sizes: tuple[int, ...] = ()
        self._begun = self._done = self._end = 0
        self._time = TimeLeft()
        self._began: float | None = None
        """When the trial before the current one ended, so that what lies between them counts."""

    def fetching(self, corpus: str, done: int, total: int) -> None:
        if corpus != self._corpus:
            self._corpus = corpus
            self._progress.begin(f"fetching {corpus}", total)
        self._progress.advance(done)

    def parts(self, sizes: tuple[int, ...], plans: Sequence[Sequence[TrialSpec]] = ()) -> None:
        self._sizes, self._begun, self._time = sizes, 0, TimeLeft()
        for number, trials in enumerate(plans, start=1):
            self._time.expect(str(number), trials)

    def begin(self, run: Run, left: WorkLeft, earlier: Sequence[TrialRow]) -> None:
        self._end = sum(self._sizes[: self._begun + 1])
        self._done = max(self._end - left.todo, sum(self._sizes[: self._begun]))
        self._begun += 1
        self._time.expect(self._part, left.trials, left.todo - len(left.trials), left.at_once)
        for row in earlier:
            if row.status == "finished" and row.seconds is not None:
                kind = (self._part, row.purpose, row.task, row.arm, canonical_json(row.condition))
                self._time.learn(kind, row.seconds)
        if left.todo:
            what = f"run {run.id}: {left.todo} trials left, {left.done} done"
            self._progress.begin(what, sum(self._sizes))
        else:
            self._output.note(f"run {run.id}: all {left.done} trials are done")

    @property
    def _part(self) -> str:
        return str(self._begun)

    def trial(self, spec: TrialSpec) -> None:
        if self._began is None:
            self._began = self._seconds()
        self._show(spec, None)

    def running(self, spec: TrialSpec, last_samples: Callable[[], list[Sample]]) -> None:
        if self._progress.shows:
            self._show(spec, reached(spec.config, last_samples()))

    def finished(self, spec: TrialSpec, finished: Finished) -> None:
        outcome, now = finished.outcome, self._seconds()
        if outcome.status == "finished":
            self._done = min(self._done + 1, self._end)  # a round that runs again counts once
            self._output.detail(f"{spec.title}: {finished.seconds:.2f} s")
            kind = kind_of(self._part, spec)
            if self._time.at_once(kind) > 1:
                self._time.learn(kind, finished.seconds)
            elif self._began is not None:
                self._time.learn(kind, now - self._began)
        else:
            self._output.note(f"failed: {spec.title}: {failure_text(outcome.cause, outcome.error)}")
        self._time.done(self._part, spec)
        self._began = now
        left = self._time.seconds_left()
        what = f"{self._done} of {sum(self._sizes)} trials"
        self._progress.advance(self._done, what, left=str(left) if left else "")

    def waiting(self, message: str) -> None:
        self._began = None
        self._output.note(message)
        self._progress.advance(self._done, detail=message)

    def note(self, message: str) -> None:
        self._output.note(message)

    def _show(self, spec: TrialSpec, now: LastValue | None) -> None:
        ran, kind = 0.0 if self._began is None else self._seconds() - self._began, kind_of(self._part, spec)
        alone = self._time.at_once(kind) == 1
        left = self._time.seconds_left(current_trial(kind, ran, now) if alone else None)
        total = sum(self._sizes)
        what = f"trial {min(self._done + 1, total)} of {total}"
        detail = f"{spec.title}: {now}" if now else spec.title
        self._progress.advance(self._done, what, detail=detail, left=str(left) if left else "")

"""The driver runs the missing trials of a programme, batch after batch. No other process writes to the
store.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from harness.errors import ChangedError
from harness.machine.code_digest import plugins_digest
from harness.machine.environment import cpu_quota, provenance
from harness.programs.source_tree import sources_in
from harness.run import stopping
from harness.run.backends.base import Backend, Finished, Handle
from harness.run.checkpoints import Checkpoints
from harness.run.given_up import GivenUp
from harness.run.identity import Setting
from harness.run.job import Job
from harness.run.lease import machine_lease
from harness.run.listener import Listener
from harness.run.programme import Draws, Programme, Watcher
from harness.run.resources import limits_of, worker_threads
from harness.run.source_watch import SourceWatch, files_of
from harness.store.rows import Run, Session, TrialRow
from harness.store.store import Store
from harness.store.void import DISTURBED
from harness.study.planning.plan import TrialBatch
from harness.study.planning.results import Results, in_one_session, lost_measurements
from harness.study.planning.trials import keeps_begun_rounds
from harness.telemetry.disturbance import Host, disturbance
from harness.trial.causes import Cause
from harness.trial.outcome import STOPPED, Outcome
from harness.trial.spec import TrialSpec

ATTEMPTS = 2
"""A trial that ends for a reason outside of it is tried once more in the same session. One that fails by
itself is not: it would only fail again, and its arm is invalid.
"""

GRACE_S = 10.0
"""How long a trial that is asked to end may take."""

WATCH_S = 0.1
"""How often the samples of a running trial are looked at, if something may stop it."""


@dataclass(kw_only=True)
class _Progress:
    """The state of the run. `alone` says whether the driver has locked the machine, and `seen` whether a
    value of the round has been recorded.
    """

    run: Run
    session: Session
    position: int
    given_up: GivenUp
    earlier: Sequence[TrialRow] = ()
    attempts: dict[str, int] = field(default_factory=dict)
    trainings: list[TrialSpec] = field(default_factory=list)
    alone: bool = False
    seen: bool = False


class Driver:
    """Runs a programme as far as possible: one part of a study, or a search."""

    def __init__(
        self, programme: Programme, setting: Setting, *, store: Store, backend: Backend, listener: Listener
    ) -> None:
        self._programme, self._setting = programme, setting
        self._store, self._backend, self._listener = store, backend, listener
        self._checkpoints = Checkpoints(setting, store, listener.note)
        self._watch = SourceWatch(setting.code, files_of(programme.loaded))
        self._plugins = plugins_digest()

    def check(self) -> None:
        """Raises InputError if a training cannot continue from its saved state. Nothing is written."""
        self._programme.drawn(self._draws(self._existing()))
        for training in self._programme.first_plan().trainings:
            self._checkpoints.check_state(training)

    def run(self) -> Run:
        """Find or create the run, and run all its missing trials.

        It is safe to interrupt this at any moment and to call it again. Raises ChangedError, with the last
        round set aside, if the code or a file of the study has changed since the driver was made.
        """
        run = self._find_or_create()
        self._programme.drawn(Draws(run.draw, run.training_draw))
        session = self._store.open_session(
            run, provenance(Path.cwd()).model_dump(mode="json"), self._listener.waiting
        )
        try:
            rows = self._store.trials(run, include_superseded=True)
            progress = _Progress(
                run=run,
                session=session,
                position=max((row.position for row in rows), default=-1) + 1,
                given_up=GivenUp.after(() if self._setting.retry_failed else rows),
                earlier=rows,
            )
            for row in rows:
                progress.attempts[row.spec_id] = max(progress.attempts.get(row.spec_id, 0), row.attempt)
            self._backend.begin_part()
            self._programme.begin(self._store, run)
            self._close_begun_rounds(progress, {row.spec_id for row in rows if row.state != "superseded"})
            self._run_missing(progress)
        finally:
            self._store.close_session(session)
        return run

    def _find_or_create(self) -> Run:
        existing = self._existing()
        if existing is not None:
            return existing
        draws, loaded = self._draws(None), self._programme.loaded
        self._programme.drawn(draws)
        return self._store.create_run(
            self._programme.identity(self._setting),
            study=loaded.study.study,
            # not canonical JSON: the claims keep their order
            study_json=loaded.study.model_dump_json(),
            study_source=loaded.source,
            environment=self._setting.environment.model_dump(mode="json"),
            trials=[spec for batch in self._programme.first_plan().known for spec in batch.with_opening],
            draws=draws,
        )

    def _existing(self) -> Run | None:
        who = self._programme.identity(self._setting)
        return None if self._setting.fresh else self._store.find_run(who)

    def _draws(self, existing: Run | None) -> Draws:
        """The seeds of the existing run, or those of a new one."""
        if existing is not None:
            return Draws(existing.draw, existing.training_draw)
        return self._programme.draws(self._store, fresh=self._setting.fresh)

    def _run_missing(self, progress: _Progress) -> None:
        run = progress.run
        results = self._results(run)
        left = self._programme.work_left(
            lambda batch: self._missing(batch, results, progress.given_up), results
        )
        self._listener.begin(run, left, progress.earlier)
        if progress.given_up:
            self._listener.note(progress.given_up.message)
        with contextlib.ExitStack() as lease:
            for batch in self._programme.schedule(lambda: self._results(run)):
                missing = self._missing(batch, self._results(run), progress.given_up)
                if missing and batch.purpose != "check" and not progress.alone:
                    lease.enter_context(machine_lease(self._listener.waiting))
                    progress.alone = True
                self._run_batch(batch, missing, progress)
                lacking = [spec for spec in progress.trainings if not self._checkpoints.has(spec)]
                if lacking:
                    seed = lacking[0].seed
                    self._listener.note(f"training (seed {seed}) produced no checkpoint; cannot continue")
                    return
        if problem := self._programme.problem(self._results(run)):
            self._listener.note(problem)

    def _results(self, run: Run) -> Results:
        return self._store.results(run, self._programme.metrics)

    def _missing(self, batch: TrialBatch, results: Results, given_up: GivenUp) -> tuple[TrialSpec, ...]:
        """The trials of a batch that must run: all of a round that is incomplete or from several sessions,
        unless the rest of it is lost. Trials that were given up do not run.
        """
        possible = tuple(spec for spec in batch.trials if spec.id not in given_up)
        if batch.purpose == "train":
            return tuple(spec for spec in possible if not self._checkpoints.has(spec))
        if batch.purpose == "measure":
            lost = lost_measurements(results) if keeps_begun_rounds(self._programme.loaded) else {}
            closed = all(spec.id in results or spec.id in lost for spec in possible)
            return () if (lost and closed) or in_one_session(possible, results) else possible
        return tuple(spec for spec in possible if spec.id not in results)

    def _close_begun_rounds(self, progress: _Progress, tried: Collection[str]) -> None:
        """Record as lost what an earlier session left of a round of which it measured a value. Whoever runs
        such a round again can choose between values; its complete pairs are kept instead.
        """
        if not keeps_begun_rounds(self._programme.loaded):
            return
        results = self._results(progress.run)
        for batch in self._programme.known(results):
            if batch.purpose == "measure" and any(spec.id in results for spec in batch.trials):
                for spec in batch.trials:
                    if spec.id not in tried:
                        attempt_id = self._begin(spec, progress)
                        nothing = Outcome(status="lost", error="not run, because its round was interrupted")
                        self._store.finish_trial(attempt_id, nothing, seconds=0.0)

    def _run_batch(self, batch: TrialBatch, missing: tuple[TrialSpec, ...], progress: _Progress) -> None:
        self._store.extend_plan(progress.run, batch.with_opening)
        if batch.purpose == "train":
            progress.trainings += batch.trials
            finished = self._results(progress.run)
            self._set_aside(progress.run, [spec for spec in missing if spec.id in finished])
        if missing and batch.purpose == "measure":
            self._set_aside(progress.run, (*missing, *([batch.opening] if batch.opening else [])))
            self._backend.begin_round()
            progress.seen = False
            if batch.opening is not None:
                self._attempt(batch.opening, progress, most=1)
        if batch.skipped:
            self._skip(missing, batch.skipped, progress)
            return
        for spec in missing:
            attempt_id, result = self._attempt(spec, progress)
            if batch.purpose == "train":
                self._watch.check()
                self._checkpoints.record(spec, result.outcome, attempt_id)
        try:
            self._watch.check()
        except ChangedError:
            self._set_aside(progress.run, missing)
            raise

    def _skip(self, specs: Iterable[TrialSpec], reason: str, progress: _Progress) -> None:
        """Record that these trials are not run, and why."""
        for spec in specs:
            attempt_id = self._begin(spec, progress)
            self._store.finish_trial(attempt_id, _stopped(Outcome(status="lost"), reason), seconds=0.0)

    def _attempt(self, spec: TrialSpec, progress: _Progress, most: int = ATTEMPTS) -> tuple[int, Finished]:
        """Run a trial, and again if its end has an outside cause, at most `most` times. Every attempt is
        recorded.

        A worker that was killed is not replaced if a value of its round was seen (`keeps_begun_rounds`).
        """
        for _ in range(most):
            self._listener.trial(spec)
            attempt_id = self._begin(spec, progress)
            handle = self._backend.submit(self._job(spec, progress.trainings))
            try:
                result = _ended(
                    handle,
                    self._programme.watcher(spec),
                    lambda: self._listener.running(spec, handle.last_samples),  # noqa: B023  it is called now
                )
            except BaseException:
                handle.cancel(grace_s=GRACE_S)
                raise
            self._store.finish_trial(
                attempt_id,
                _noted(spec, result),
                seconds=result.seconds,
                telemetry=result.telemetry,
                nvml_reason=result.nvml_reason,
            )
            self._listener.finished(spec, result)
            measured = spec.purpose == "measure" and keeps_begun_rounds(self._programme.loaded)
            progress.seen = progress.seen or (measured and bool(result.outcome.samples))
            if result.outcome.status != "lost" or (measured and progress.seen):
                break
        return attempt_id, result

    def _begin(self, spec: TrialSpec, progress: _Progress) -> int:
        attempt = progress.attempts[spec.id] = progress.attempts.get(spec.id, 0) + 1
        attempt_id = self._store.begin_trial(
            progress.run, progress.session, spec, position=progress.position, attempt=attempt
        )
        progress.position += 1
        return attempt_id

    def _job(self, spec: TrialSpec, trainings: Iterable[TrialSpec]) -> Job:
        return Job(
            spec=spec,
            events="",
            checkpoints=self._checkpoints.folders(
                training for training in trainings if training.seed == spec.seed
            ),
            threads=worker_threads(spec.purpose),
            gpu=self._setting.gpu,
            plant=self._setting.plant,
            sources=str(sources_in(self._setting.results)),
            limits=limits_of(spec, self._programme.loaded.study.design.limits),
            plugins=self._plugins,
        )

    def _set_aside(self, run: Run, specs: Iterable[TrialSpec]) -> None:
        ids = {spec.id for spec in specs}
        self._store.supersede(run, [row.id for row in self._store.trials(run) if row.spec_id in ids])


def _ended(handle: Handle, watcher: Watcher | None, meanwhile: Callable[[], None]) -> Finished:
    """Wait for the end of a trial. A watcher may end it before, and the outcome then says why. `meanwhile` is
    called once per second.
    """
    if watcher is None:
        return stopping.result(handle.future, meanwhile)
    due = time.monotonic() + stopping.SIGNALS_S
    while not wait([handle.future], timeout=WATCH_S).done:
        reason = watcher(handle.new_samples())
        if reason is not None:
            handle.cancel(grace_s=GRACE_S)
            result = stopping.result(handle.future)
            if result.outcome.status == "finished":  # it came to its end before it could be stopped
                return result
            return replace(result, outcome=_stopped(result.outcome, reason))
        if time.monotonic() >= due:
            meanwhile()
            due = time.monotonic() + stopping.SIGNALS_S
    return handle.future.result()


def _stopped(outcome: Outcome, reason: str) -> Outcome:
    notes = {**outcome.notes, STOPPED: reason}
    return replace(outcome, status="interrupted", error=reason, cause=Cause.STOPPED, notes=notes)


def _noted(spec: TrialSpec, result: Finished) -> Outcome:
    """The outcome of a trial; for a measurement, with a note if something outside of it disturbed it."""
    if spec.purpose != "measure":
        return result.outcome
    host = Host(cores=psutil.cpu_count() or 1, threads=worker_threads(spec.purpose), cpu_quota=cpu_quota())
    cause = disturbance(result.telemetry, host)
    if not cause:
        return result.outcome
    return replace(result.outcome, notes={**result.outcome.notes, DISTURBED: cause})

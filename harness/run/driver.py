"""The driver runs the missing trials of a study, batch after batch. No other process writes to the store."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from harness.errors import ChangedError
from harness.machine.environment import available_cores, provenance
from harness.run.backends.base import Backend, Finished
from harness.run.checkpoints import Checkpoints
from harness.run.identity import Setting, identity
from harness.run.job import Job
from harness.run.lease import machine_lease
from harness.run.source_watch import SourceWatch, files_of
from harness.store.rows import Run, Session
from harness.store.store import Store
from harness.store.void import DISTURBED
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import TrialBatch, plan, schedule
from harness.study.planning.resolved import deciding_metrics, is_open, resolve
from harness.study.planning.results import Results, in_one_session, lost_measurements
from harness.study.planning.trials import keeps_begun_rounds
from harness.study.seeds import outcome_is_training
from harness.telemetry.disturbance import disturbance
from harness.trial.outcome import Outcome
from harness.trial.spec import Purpose, TrialSpec

ATTEMPTS = 2
"""A trial that crashes is tried once more. After a second crash, its arm is invalid."""


class Listener:
    """Receives the progress of a study while it runs. This one ignores everything; subclasses show it."""

    def fetching(self, corpus: str, done: int, total: int) -> None:
        """`done` of the `total` bytes of a corpus have been downloaded."""

    def parts(self, sizes: tuple[int, ...]) -> None:
        """The largest possible number of trials of each part of the study, in the order in which they run."""

    def begin(self, run: Run, *, todo: int, done: int) -> None:
        """A part begins: `todo` of its trials must run, and `done` of them have finished."""

    def trial(self, spec: TrialSpec) -> None:
        """A trial starts."""

    def finished(self, spec: TrialSpec, finished: Finished) -> None:
        """A trial has ended, successfully or not."""

    def note(self, message: str) -> None:
        """A message that a person should read."""


def worker_threads(purpose: Purpose) -> int:
    """All cores for the training of a shared model, which is not timed; one core fewer for all other trials.

    Threads that wait for a core that another process uses make every operation up to 18 times slower.
    """
    return available_cores() if purpose == "train" else max(1, available_cores() - 1)


@dataclass(kw_only=True)
class _Progress:
    """The state of the run. `alone` says whether the driver has locked the machine, and `seen` whether a
    value of the round has been recorded.
    """

    run: Run
    session: Session
    position: int
    attempts: dict[str, int] = field(default_factory=dict)
    trainings: list[TrialSpec] = field(default_factory=list)
    alone: bool = False
    seen: bool = False


class Driver:
    """Runs one part of a study as far as possible."""

    def __init__(
        self, loaded: LoadedStudy, setting: Setting, *, store: Store, backend: Backend, listener: Listener
    ) -> None:
        self._loaded, self._setting = loaded, setting
        self._store, self._backend, self._listener = store, backend, listener
        self._checkpoints = Checkpoints(setting, store, listener.note)
        self._watch = SourceWatch(setting.code, files_of(loaded))

    def check(self) -> None:
        """Raises InputError if a training cannot continue from its saved state. Nothing is written."""
        for training in plan(self._drawn()).trainings:
            self._checkpoints.check_state(training)

    def run(self) -> Run:
        """Find or create the run, and run all its missing trials.

        It is safe to interrupt this at any moment and to call it again. Raises ChangedError, with the last
        round set aside, if the code or a file of the study has changed since the driver was made.
        """
        run = self._find_or_create()
        self._loaded = self._loaded.drawn(run.draw, run.training_draw)
        session = self._store.open_session(run, provenance(Path.cwd()).model_dump(mode="json"))
        try:
            rows = self._store.trials(run, include_superseded=True)
            progress = _Progress(
                run=run, session=session, position=max((row.position for row in rows), default=-1) + 1
            )
            for row in rows:
                progress.attempts[row.spec_id] = max(progress.attempts.get(row.spec_id, 0), row.attempt)
            self._backend.begin_part()
            self._close_begun_rounds(progress, {row.spec_id for row in rows if row.state != "superseded"})
            self._run_missing(progress)
        finally:
            self._store.close_session(session)
        return run

    def _find_or_create(self) -> Run:
        existing = self._existing()
        if existing is not None:
            return existing
        drawn = self._drawn()
        return self._store.create_run(
            identity(self._loaded, self._setting),
            study=self._loaded.study.study,
            # not canonical JSON: the claims keep their order
            study_json=self._loaded.study.model_dump_json(),
            study_source=self._loaded.source,
            environment=self._setting.environment.model_dump(mode="json"),
            trials=[spec for batch in plan(drawn).known for spec in batch.with_opening],
            draws=(drawn.draw, drawn.training_draw),
        )

    def _existing(self) -> Run | None:
        who = identity(self._loaded, self._setting)
        return None if self._setting.fresh else self._store.find_run(who)

    def _drawn(self) -> LoadedStudy:
        """The study with the seeds of its run. Only a fresh run of a study that has run before draws others.
        Shared models are trained with other seeds only if the study asks what their training is worth.
        """
        existing = self._existing()
        if existing is not None:
            return self._loaded.drawn(existing.draw, existing.training_draw)
        draw = self._store.next_draw(self._loaded.study.study) if self._setting.fresh else 1
        return self._loaded.drawn(draw, draw if outcome_is_training(self._loaded) else 1)

    def _run_missing(self, progress: _Progress) -> None:
        run = progress.run
        results = self._results(run)
        planned = plan(self._loaded, results)
        left = ((batch, self._missing(batch, results)) for batch in planned.batches)
        todo = sum(len(specs) + (batch.opening is not None) for batch, specs in left if specs)
        self._listener.begin(run, todo=todo, done=len(planned.trials) - todo)
        with contextlib.ExitStack() as lease:
            for batch in schedule(self._loaded, lambda: self._results(run)):
                missing = self._missing(batch, self._results(run))
                if missing and batch.purpose != "check" and not progress.alone:
                    lease.enter_context(machine_lease(self._listener.note))
                    progress.alone = True
                self._run_batch(batch, missing, progress)
                lacking = [spec for spec in progress.trainings if not self._checkpoints.has(spec)]
                if lacking:
                    seed = lacking[0].seed
                    self._listener.note(f"training (seed {seed}) produced no checkpoint; cannot continue")
                    return
        if is_open(resolve(self._loaded, self._results(run))):
            self._listener.note("some trials of the tuning did not finish; cannot continue")

    def _results(self, run: Run) -> Results:
        return self._store.results(run, deciding_metrics(self._loaded.study))

    def _missing(self, batch: TrialBatch, results: Results) -> tuple[TrialSpec, ...]:
        """The trials of a batch that must run: all of a round that is incomplete or from several sessions,
        unless the rest of it is lost.
        """
        if batch.purpose == "train":
            return tuple(spec for spec in batch.trials if not self._checkpoints.has(spec))
        if batch.purpose == "measure":
            lost = lost_measurements(results) if keeps_begun_rounds(self._loaded) else {}
            closed = all(spec.id in results or spec.id in lost for spec in batch.trials)
            return () if (lost and closed) or in_one_session(batch.trials, results) else batch.trials
        return tuple(spec for spec in batch.trials if spec.id not in results)

    def _close_begun_rounds(self, progress: _Progress, tried: Collection[str]) -> None:
        """Record as lost what an earlier session left of a round of which it measured a value. Whoever runs
        such a round again can choose between values; its complete pairs are kept instead.
        """
        if not keeps_begun_rounds(self._loaded):
            return
        results = self._results(progress.run)
        for batch in plan(self._loaded, results).known:
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

    def _attempt(self, spec: TrialSpec, progress: _Progress, most: int = ATTEMPTS) -> tuple[int, Finished]:
        """Run a trial, at most `most` times if it fails. Every attempt is recorded.

        A worker that was killed is not replaced if a value of its round was seen (`keeps_begun_rounds`).
        """
        for _ in range(most):
            self._listener.trial(spec)
            attempt_id = self._begin(spec, progress)
            handle = self._backend.submit(self._job(spec, progress.trainings))
            try:
                result = handle.future.result()
            except BaseException:
                handle.cancel(grace_s=2.0)
                raise
            self._store.finish_trial(
                attempt_id,
                _noted(spec, result),
                seconds=result.seconds,
                telemetry=result.telemetry,
                nvml_reason=result.nvml_reason,
            )
            self._listener.finished(spec, result)
            measured = spec.purpose == "measure" and keeps_begun_rounds(self._loaded)
            progress.seen = progress.seen or (measured and bool(result.outcome.samples))
            if result.outcome.status == "finished":
                break
            if measured and progress.seen and result.outcome.status == "lost":
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
        )

    def _set_aside(self, run: Run, specs: Iterable[TrialSpec]) -> None:
        ids = {spec.id for spec in specs}
        self._store.supersede(run, [row.id for row in self._store.trials(run) if row.spec_id in ids])


def _noted(spec: TrialSpec, result: Finished) -> Outcome:
    """The outcome of a trial; for a measurement, with a note if something outside of it disturbed it."""
    if spec.purpose != "measure":
        return result.outcome
    threads, cores = worker_threads(spec.purpose), psutil.cpu_count() or 1
    cause = disturbance(result.telemetry, threads=threads, host_cores=cores)
    if not cause:
        return result.outcome
    return replace(result.outcome, notes={**result.outcome.notes, DISTURBED: cause})

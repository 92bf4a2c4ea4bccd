"""The driver runs the missing trials of a programme, batch after batch. No worker writes to the store. Trials
that are timed run alone; others run side by side where the backend has slots for them, and are shared with
other drivers of the same run (`harness.run.other_drivers`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness.errors import ChangedError
from harness.machine.code_digest import plugins_digest
from harness.machine.environment import provenance, usable_cores
from harness.programs.source_tree import sources_in
from harness.run.attempts import Attempts
from harness.run.backends.base import Backend, Finished
from harness.run.checkpoints import Checkpoints
from harness.run.given_up import GivenUp
from harness.run.identity import Setting
from harness.run.job import Job
from harness.run.lease import machine_lease
from harness.run.listener import Listener
from harness.run.other_drivers import OtherDrivers
from harness.run.programme import Draws, Programme
from harness.run.resources import limits_of, shared_threads, worker_threads
from harness.run.source_watch import SourceWatch, files_of
from harness.store.failures import TrialTakenError
from harness.store.rows import Run, TrialRow
from harness.store.store import Store
from harness.study.planning.plan import TrialBatch
from harness.study.planning.results import Results, in_one_session, lost_measurements
from harness.study.planning.side_by_side import may_be_shared, trials_at_once
from harness.study.planning.trials import keeps_begun_rounds
from harness.trial.spec import TrialSpec


@dataclass(kw_only=True)
class _Progress:
    """The state of the run. `earlier` are the attempts of earlier sessions. `lease` holds the lock of the
    machine if the driver has `locked` it. `seen` says whether a value of the round has been recorded, `taken`
    whether another driver had a trial that was to run, and `has_turn` whether timed trials may run.
    """

    run: Run
    attempts: Attempts
    others: OtherDrivers
    given_up: GivenUp
    earlier: tuple[TrialRow, ...]
    lease: contextlib.ExitStack
    trainings: list[TrialSpec] = field(default_factory=list)
    locked: bool = False
    seen: bool = False
    taken: bool = False
    has_turn: bool = False


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
            run,
            provenance(Path.cwd()).model_dump(mode="json"),
            self._listener.waiting,
            shared=self._programme.has_several_drivers,
        )
        try:
            others = OtherDrivers(session, self._store, self._listener)
            rows = tuple(self._store.trials(run, include_superseded=True))
            attempts = Attempts(
                run, session, rows, store=self._store, backend=self._backend, listener=self._listener
            )
            with contextlib.ExitStack() as lease:
                progress = _Progress(
                    run=run,
                    attempts=attempts,
                    others=others,
                    given_up=GivenUp.after(() if self._setting.retry_failed else rows),
                    earlier=rows,
                    lease=lease,
                )
                self._backend.begin_part()
                self._programme.begin(self._store, run)
                if not others.older():
                    self._begin_turn(progress, rows)
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
            unless_there_is_one=not self._setting.fresh,
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
        results = self._results(progress.run)
        left = self._programme.work_left(lambda batch: self._missing(batch, results, progress), results)
        known = self._programme.known(results)
        at_once: dict[str, int] = {batch.purpose: self._at_once(batch) for batch in known}
        self._listener.begin(progress.run, left._replace(at_once=at_once), progress.earlier)
        if progress.given_up:
            self._listener.note(progress.given_up.message)
        try:
            problem = self._run_batches(progress)
            while progress.taken:  # another driver may have ended before its trials did
                progress.taken = False
                self._give_up_failed(progress)
                problem = self._run_batches(progress)
        finally:
            progress.attempts.cancel()
        if problem:
            self._listener.note(problem)

    def _run_batches(self, progress: _Progress) -> str | None:
        """Run batch after batch. Returns why it cannot continue, or None at the end of the programme."""
        for batch in self._programme.schedule(lambda: self._settled_results(progress)):
            missing = self._missing(batch, self._results(progress.run), progress)
            if missing and batch.purpose != "check":
                missing = self._with_machine(batch, missing, progress)
            self._run_batch(batch, missing, progress)
            lacking = [spec for spec in progress.trainings if not self._checkpoints.has(spec)]
            if lacking:
                return f"training (seed {lacking[0].seed}) produced no checkpoint; cannot continue"
        return self._programme.problem(self._settled_results(progress))

    def _with_machine(
        self, batch: TrialBatch, missing: tuple[TrialSpec, ...], progress: _Progress
    ) -> tuple[TrialSpec, ...]:
        """Lock the machine for a batch. Returns what is missing by then."""
        if progress.locked and progress.has_turn:
            return missing
        if not (progress.has_turn or may_be_shared(self._programme.loaded, batch)):
            progress.attempts.settle()
            progress.others.wait_for_turn(partial(self._unlock_machine, progress))
            rows = tuple(self._store.trials(progress.run, include_superseded=True))
            progress.attempts.continue_after(rows)
            self._begin_turn(progress, rows)
        if not progress.locked:
            progress.lease.enter_context(machine_lease(self._listener.waiting))
            progress.locked = True
        return self._missing(batch, self._results(progress.run), progress)

    def _unlock_machine(self, progress: _Progress) -> None:
        """While this driver waits for another one, which may run on this machine as well."""
        progress.lease.close()
        progress.locked = False

    def _begin_turn(self, progress: _Progress, rows: Iterable[TrialRow]) -> None:
        """From now on, this driver runs the timed trials. No other one does, so what was begun is over.
        `rows` are all attempts.
        """
        progress.has_turn = True
        self._close_begun_rounds(progress, {row.spec_id for row in rows if row.state != "superseded"})

    def _settled_results(self, progress: _Progress) -> Results:
        """The results when no trial is running on which they depend: they decide which trials come next."""
        progress.attempts.settle()
        if progress.taken:
            progress.others.wait_until_settled(partial(self._unlock_machine, progress))
        return self._results(progress.run)

    def _give_up_failed(self, progress: _Progress) -> None:
        """Do not try again what failed since this driver began, here or with another driver."""
        before = {row.id for row in progress.earlier} if self._setting.retry_failed else set()
        rows = self._store.trials(progress.run, include_superseded=True)
        new = (row for row in rows if row.id not in before)
        progress.given_up = GivenUp.after(new, progress.others.working())

    def _results(self, run: Run) -> Results:
        return self._store.results(run, self._programme.metrics)

    def _missing(self, batch: TrialBatch, results: Results, progress: _Progress) -> tuple[TrialSpec, ...]:
        """The trials of a batch that must run. Of a round that is timed, they are all of them if it is
        incomplete or from several sessions, unless the rest of it is lost. Trials that were given up do not
        run.
        """
        possible = tuple(spec for spec in batch.trials if spec.id not in progress.given_up)
        if batch.purpose == "train":
            return tuple(spec for spec in possible if not self._checkpoints.has(spec))
        if batch.purpose == "measure" and not may_be_shared(self._programme.loaded, batch):
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
                        progress.attempts.lose(spec, "not run, because its round was interrupted")

    def _run_batch(self, batch: TrialBatch, missing: tuple[TrialSpec, ...], progress: _Progress) -> None:
        self._store.extend_plan(progress.run, batch.with_opening)
        if batch.purpose == "train":
            progress.trainings += (spec for spec in batch.trials if spec not in progress.trainings)
            finished = self._results(progress.run)
            again = [spec for spec in missing if spec.id in finished]
            if again and progress.others.now():
                self._checkpoints.refuse_elsewhere(again)
            self._set_aside(progress, again)
        beside = self._at_once(batch) > 1
        if missing and batch.purpose == "measure":
            self._set_aside(progress, (*missing, *([batch.opening] if batch.opening else [])))
            if not beside:
                self._begin_round(batch, progress)
        if batch.skipped:
            for spec in missing:
                progress.attempts.skip(spec, batch.skipped)
        elif beside:
            self._run_beside_others(batch, missing, progress)
        else:
            self._run_alone(batch, missing, progress)

    def _begin_round(self, batch: TrialBatch, progress: _Progress) -> None:
        self._backend.begin_round()
        progress.seen = False
        if batch.opening is not None:
            with self._unless_taken(progress):
                progress.attempts.alone(self._job(batch.opening, progress), most=1)

    def _run_alone(self, batch: TrialBatch, missing: tuple[TrialSpec, ...], progress: _Progress) -> None:
        """Run trials one after the other. Those of a batch that a change of the code has spoiled are set
        aside.
        """
        for spec in missing:
            with self._unless_taken(progress):
                attempt_id, result = progress.attempts.alone(
                    self._job(spec, progress),
                    watcher=partial(self._programme.watcher, spec),
                    may_repeat=partial(self._may_repeat, progress, spec),
                )
                if batch.purpose == "train":
                    self._watch.check()
                    self._checkpoints.record(spec, result.outcome, attempt_id)
        self._check_code(progress, missing)

    @contextlib.contextmanager
    def _unless_taken(self, progress: _Progress) -> Iterator[None]:
        """Go on with the next trial if another driver has this one. Without other drivers, it is a fault."""
        try:
            yield
        except TrialTakenError:
            if not progress.others.have_worked():
                raise
            progress.taken = True

    def _at_once(self, batch: TrialBatch) -> int:
        """How many trials of a batch run at the same time."""
        if self._backend.slots == 1 or self._setting.gpu is not None:
            return 1
        return trials_at_once(self._programme.loaded, batch, usable_cores())

    def _run_beside_others(
        self, batch: TrialBatch, missing: tuple[TrialSpec, ...], progress: _Progress
    ) -> None:
        """Run trials while others run. Only measurements may still be running when this returns."""

        def recorded(spec: TrialSpec, attempt_id: int, result: Finished) -> None:
            self._check_code(progress, missing)
            if batch.purpose == "train":
                self._checkpoints.record(spec, result.outcome, attempt_id)

        threads = shared_threads(self._at_once(batch))  # wherever they run, so that results are the same
        slots = max(1, self._backend.slots // threads)
        for spec in missing:
            job = self._job(spec, progress, threads)
            with self._unless_taken(progress):
                progress.attempts.beside_others(job, slots, partial(recorded, spec))
        if batch.purpose != "measure":
            self._settled_results(progress)

    def _may_repeat(self, progress: _Progress, spec: TrialSpec, result: Finished) -> bool:
        """Whether a trial that was lost may run again: not if a value of its round was seen
        (`keeps_begun_rounds`).
        """
        measured = spec.purpose == "measure" and keeps_begun_rounds(self._programme.loaded)
        progress.seen = progress.seen or (measured and bool(result.outcome.samples))
        return not (measured and progress.seen)

    def _check_code(self, progress: _Progress, specs: Iterable[TrialSpec]) -> None:
        """Raises ChangedError, with these trials set aside, if the code or a file has changed."""
        try:
            self._watch.check()
        except ChangedError:
            self._set_aside(progress, specs)
            raise

    def _job(self, spec: TrialSpec, progress: _Progress, shared: int | None = None) -> Job:
        """The job of a trial. With `shared` threads, it runs beside others."""
        return Job(
            spec=spec,
            events="",
            checkpoints=self._checkpoints.folders(
                training for training in progress.trainings if training.seed == spec.seed
            ),
            threads=shared or worker_threads(spec.purpose),
            side_by_side=shared is not None,
            gpu=self._setting.gpu,
            plant=self._setting.plant,
            sources=str(sources_in(self._setting.results)),
            limits=limits_of(spec, self._programme.loaded.study.design.limits, shared),
            plugins=self._plugins,
        )

    def _set_aside(self, progress: _Progress, specs: Iterable[TrialSpec]) -> None:
        """Set aside what is recorded of these trials, except for what belongs to another driver."""
        ids, others = {spec.id for spec in specs}, {other.id for other in progress.others.now()}
        rows = (row for row in self._store.trials(progress.run) if row.spec_id in ids)
        ended = (row for row in rows if row.state != "running" and row.session_id not in others)
        self._store.supersede(progress.run, [row.id for row in ended])

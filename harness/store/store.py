"""What the driver does to the store, each step one transaction."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from harness.errors import HarnessError, StoreError
from harness.store.engine import make_engine, parse_location, place, use_safest_journal, writing
from harness.store.lock import RunLock, try_lock
from harness.store.migrate import migrate, take_turns
from harness.store.read import Reader
from harness.store.rows import Checkpoint, Identity, Run, Session, now
from harness.store.tables import checkpoints, checks, runs, samples, sessions, trials
from harness.store.tables import telemetry as telemetry_table

if TYPE_CHECKING:
    from harness.study.outcome import Outcome, Sample
    from harness.study.trial import TrialSpec
    from harness.telemetry.host import TelemetrySample

SAMPLE_COLUMNS = [column.name for column in samples.columns]


def open_store(location: str | Path) -> Store:
    """The store in a SQLite file (a path or `sqlite:///path`) or in PostgreSQL (`postgresql://user@host/database`).

    Creates what is missing and upgrades what is older. Raises StoreError, with nothing written, where that cannot be done
    or the database is not the harness's.
    """
    engine = make_engine(parse_location(location))
    try:
        migrate(engine)
        use_safest_journal(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


class Store(Reader):
    """Runs, sessions, trials and what they measured. Every method may raise StoreError; none leaves half of its work."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._locks: dict[str, RunLock] = {}
        compiled = insert(samples).compile(dialect=engine.dialect, column_keys=SAMPLE_COLUMNS)
        assert compiled.positiontup == SAMPLE_COLUMNS
        self._insert_samples = compiled.string

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the database and of every run. A session that was not closed counts as broken off."""
        while self._locks:
            self._locks.popitem()[1].release()
        self._engine.dispose()

    def create_run(
        self,
        identity: Identity,
        *,
        study: str,
        study_json: str,
        study_source: str,
        environment: Mapping[str, Any],
        expected_trials: int,
    ) -> Run:
        """Another run of that identity, its ordinal one above the last."""
        with writing(self._engine) as connection:
            take_turns(connection)
            last = select(func.max(runs.c.ordinal)).where(runs.c.identity_digest == identity.digest)
            ordinal = (connection.execute(last).scalar() or 0) + 1
            run = Run(
                id=f"{identity.digest}-{ordinal}",
                ordinal=ordinal,
                study=study,
                **asdict(identity),
                study_json=study_json,
                study_source=study_source,
                environment=dict(environment),
                expected_trials=expected_trials,
                created_at=now(),
            )
            connection.execute(insert(runs).values(**asdict(run), identity_digest=identity.digest))
        return run

    def open_session(self, run: Run, provenance: Mapping[str, Any]) -> Session:
        """Takes the run for this driver, and marks as failed what a dead driver left running.

        Raises StoreError while another driver works on the run.
        """
        lock = try_lock(self._engine, run.id)
        if lock is None:
            raise StoreError(
                f"run {run.id} of {run.study} is being driven by {self._driver_of(run)}",
                at=place(self._engine.url),
                hint="wait until it ends, or stop it",
            )
        try:
            with writing(self._engine) as connection:
                _abandon(connection, run)
                values: dict[str, Any] = {
                    "run_id": run.id,
                    "started_at": now(),
                    "ended_at": None,
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "provenance": dict(provenance),
                }
                session_id = connection.execute(
                    insert(sessions).values(values).returning(sessions.c.id)
                ).scalar_one()
        except BaseException:
            lock.release()
            raise
        self._locks[run.id] = lock
        return Session(id=session_id, **values)

    def close_session(self, session: Session) -> None:
        """Ends the session and frees its run. A trial still marked as running was broken off: it becomes failed."""
        with writing(self._engine) as connection:
            _abandon(connection, session)
            connection.execute(update(sessions).where(sessions.c.id == session.id).values(ended_at=now()))
        self._locks.pop(session.run_id).release()

    def begin_trial(self, run: Run, session: Session, spec: TrialSpec, *, position: int, attempt: int) -> int:
        """Records that a trial starts now, and returns its id. Raises HarnessError if it runs or has finished already."""
        values = {
            **spec.model_dump(mode="json", exclude={"config"}),
            "run_id": run.id,
            "session_id": session.id,
            "spec_id": spec.id,
            "spec_json": spec.model_dump_json(),
            "position": position,
            "attempt": attempt,
            "status": "running",
            "started_at": now(),
            "outputs": {},
            "spent": {},
            "notes": {},
        }
        try:
            with writing(self._engine) as connection:
                trial_id: int = connection.execute(
                    insert(trials).values(values).returning(trials.c.id)
                ).scalar_one()
        except IntegrityError as error:
            raise HarnessError(
                f"run {run.id}: {spec.title} cannot begin: it runs or has finished already"
            ) from error
        return trial_id

    def finish_trial(
        self,
        trial_id: int,
        outcome: Outcome,
        *,
        seconds: float,
        telemetry: Sequence[TelemetrySample] = (),
        nvml_reason: str | None = None,
    ) -> None:
        """Records a trial's end and all that it measured: everything, or (whatever happens) nothing.

        `nvml_reason` says why the GPU's columns of the telemetry are empty. Raises HarnessError for a trial that is not
        running, or that gave one metric two values at one step.
        """
        ending = {
            "status": outcome.status,
            "seconds": seconds,
            "outputs": outcome.outputs,
            "spent": outcome.spent,
            "notes": outcome.notes,
            "error": outcome.error,
            "traceback": outcome.traceback,
            "nvml_reason": nvml_reason,
        }
        with writing(self._engine) as connection:
            running = (trials.c.id == trial_id) & (trials.c.status == "running")
            if connection.execute(update(trials).where(running).values(ending)).rowcount != 1:
                raise HarnessError(f"trial {trial_id} is not running, so it cannot end")
            if outcome.samples:
                self._add_samples(connection, trial_id, outcome.samples)
            if outcome.checks:
                connection.execute(
                    insert(checks), [{"trial_id": trial_id, **asdict(check)} for check in outcome.checks]
                )
            if telemetry:
                connection.execute(insert(telemetry_table), [_seen(trial_id, look) for look in telemetry])

    def supersede(self, run: Run, trial_ids: Iterable[int]) -> None:
        """Sets ended trials aside: kept for ever, never counted again. Raises HarnessError for any that is not there."""
        wanted = set(trial_ids)
        ended = (trials.c.run_id == run.id) & (trials.c.status != "running")
        with writing(self._engine) as connection:
            there = set(connection.execute(select(trials.c.id).where(ended)).scalars())
            if not wanted <= there:
                raise HarnessError(f"run {run.id} has no ended trials {sorted(wanted - there)} to set aside")
            for trial_id in wanted:
                connection.execute(update(trials).where(trials.c.id == trial_id).values(status="superseded"))

    def record_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Says where a trained model lies. A recipe trained anew, its file lost, takes the place of the earlier record."""
        with writing(self._engine) as connection:
            take_turns(connection)
            connection.execute(checkpoints.delete().where(checkpoints.c.id == checkpoint.id))
            connection.execute(insert(checkpoints).values(asdict(checkpoint)))

    def _add_samples(self, connection: Connection, trial_id: int, measured: Sequence[Sample]) -> None:
        """Straight to the database's own driver: three times the speed of rows that SQLAlchemy looks at one by one."""
        rows = [(trial_id, metric, step, float(value)) for metric, step, value in measured]
        try:
            connection.exec_driver_sql(self._insert_samples, rows)
        except IntegrityError as error:
            (metric, step), times = Counter((metric, step) for metric, step, _ in measured).most_common(1)[0]
            raise HarnessError(
                f"trial {trial_id} gave {times} values of {metric!r} at step {step}"
            ) from error

    def _driver_of(self, run: Run) -> str:
        unended = [session for session in self.sessions(run) if session.ended_at is None]
        if not unended:
            return "another process that has just started"
        return f"process {unended[-1].pid} on {unended[-1].host} since {unended[-1].started_at}"


def _abandon(connection: Connection, owner: Run | Session) -> None:
    """Whoever calls this holds the run's lock, so the process that was to finish these trials is gone, or gives up."""
    owned = trials.c.run_id == owner.id if isinstance(owner, Run) else trials.c.session_id == owner.id
    broken_off = update(trials).where(owned, trials.c.status == "running")
    connection.execute(
        broken_off.values(status="failed", error="interrupted: its driver ended before it did")
    )


def _seen(trial_id: int, look: TelemetrySample) -> dict[str, Any]:
    source = "psutil" if look.gpu_memory_bytes is None else "psutil+nvml"
    return {"trial_id": trial_id, **asdict(look), "source": source}

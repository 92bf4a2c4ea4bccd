"""Opens a store, and creates, plans and locks runs for the driver."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, Table, func, insert, select, update

from harness.errors import StoreError
from harness.store.chain import add_links
from harness.store.database import Note, tried_again
from harness.store.declared import DeclarationStore
from harness.store.engine import make_engine, parse_location, shown_location, use_safest_journal, vacuum
from harness.store.lock import RunLock, try_lock
from harness.store.migrate import migrate, take_turns
from harness.store.pooler import refuse_pooler
from harness.store.rows import Identity, Run, Session, now, row_digest
from harness.store.tables import attempts, environments, runs, sessions, studies, trials

if TYPE_CHECKING:
    from harness.trial.spec import TrialSpec


def open_store(location: str | Path) -> Store:
    """The store in a SQLite file or in a PostgreSQL database (`postgresql://user@host/database`).

    A missing database is created, and an older one is upgraded. Raises StoreError, with nothing written, if
    this is not possible, or if the database is damaged or belongs to another program.
    """
    engine = make_engine(parse_location(location))
    try:
        refuse_pooler(engine)
        migrate(engine)
        use_safest_journal(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


class Store(DeclarationStore):
    """Runs, sessions, trials and their results.

    Every method raises StoreError if the database fails, and none leaves a part of its work behind.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the database and every run. A session that was not closed counts as interrupted."""
        self._database.close()

    def create_run(
        self,
        identity: Identity,
        *,
        study: str,
        study_json: str,
        study_source: str,
        environment: Mapping[str, Any],
        trials: Sequence[TrialSpec],
        draws: tuple[int, int] = (1, 1),
    ) -> Run:
        """Create a run with this identity, the next ordinal, and the trials of its plan in their order.
        `draws` are its `draw` and its `training_draw`.
        """
        with self._database.writing() as connection:
            take_turns(connection)
            last = select(func.max(runs.c.ordinal)).where(runs.c.identity_digest == identity.digest)
            ordinal = (connection.execute(last).scalar() or 0) + 1
            newest = select(func.max(runs.c.number))
            made = Run(
                id=f"{identity.digest}-{ordinal}",
                ordinal=ordinal,
                study=study,
                **asdict(identity),
                study_json=study_json,
                study_source=study_source,
                environment=json.loads(json.dumps(environment, sort_keys=True)),  # as a query returns it
                expected_trials=len(trials),
                created_at=now(),
                number=(connection.execute(newest).scalar() or 0) + 1,
                draw=draws[0],
                training_draw=draws[1],
            )
            columns = ("id", "ordinal", "created_at", "number", "draw", "training_draw")
            values = {column: getattr(made, column) for column in columns}
            values["study_row"] = _shared_row(
                connection, studies, _study_row(study, study_source, study_json)
            )
            values["environment_row"] = _shared_row(connection, environments, {"facts": made.environment})
            values["identity_digest"] = identity.digest
            connection.execute(insert(runs).values(**values, **asdict(identity)))
            _plan(connection, made, trials)
        return made

    def record_study(self, name: str, source: str, resolved: str) -> None:
        """Record the text of a study as it is judged now; its run may have begun with another one."""
        with self._database.writing() as connection:
            take_turns(connection)
            _shared_row(connection, studies, _study_row(name, source, resolved))

    @tried_again
    def extend_plan(self, run: Run, specs: Sequence[TrialSpec]) -> None:
        """Add new trials at the end of the run's plan. A plan may grow with the results."""
        with self._database.writing() as connection:
            known = set(
                connection.execute(select(trials.c.spec_id).where(trials.c.run_id == run.id)).scalars()
            )
            _plan(connection, run, [spec for spec in specs if spec.id not in known])

    def open_session(
        self, run: Run, provenance: Mapping[str, Any], note: Note = lambda _message: None
    ) -> Session:
        """Lock the run for this driver, and mark the running attempts of a dead driver as interrupted.

        Until the session is closed, every method waits and tries again if the database fails in a way that
        may pass, and `note` says so to a person. StoreLostError is raised when that has taken too long
        (`harness.store.database.WAIT_SECONDS`), or when another driver has taken the run over.

        Raises StoreError if another driver works on the run.
        """
        lock = self._locked(run)
        try:
            with self._database.writing() as connection:
                # No other session of the run writes from here on.
                connection.execute(update(sessions).where(sessions.c.run_id == run.id).values(writes=-1))
                _abandon(connection, run.id)
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
        session = Session(id=session_id, **values)
        self._database.hold(session, lock, note)
        return session

    def close_session(self, session: Session) -> None:
        """End the session and unlock its run. An attempt that is still running becomes interrupted.

        If the database was lost, nothing can be written any more, and the next session does it.
        """
        try:
            if not self._database.given_up:
                self._end(session)
        finally:
            self._database.release(session)

    @tried_again
    def _end(self, session: Session) -> None:
        with self._database.writing() as connection:
            _abandon(connection, session.run_id)
            connection.execute(update(sessions).where(sessions.c.id == session.id).values(ended_at=now()))

    def compact(self) -> None:
        """Write a SQLite database anew, without free pages, while no driver works on any run.

        Raises StoreError, with nothing changed, if one does.
        """
        with ExitStack() as locks:
            for run in self.runs():
                locks.callback(self._locked(run).release)
            vacuum(self._engine)

    def _locked(self, run: Run) -> RunLock:
        lock = try_lock(self._engine, run.id)
        if lock is None:
            raise StoreError(
                f"{self._driver_of(run)} is already working on run {run.id} of {run.study}",
                at=shown_location(self._engine.url),
                hint="wait until it ends, or stop it",
            )
        return lock

    def _driver_of(self, run: Run) -> str:
        unended = [session for session in self.sessions(run) if session.ended_at is None]
        if not unended:
            return "another process, which has just started,"
        last = unended[-1]
        return f"process {last.pid} on {last.host} (since {last.started_at})"


def study_key(name: str, source: str, resolved: str) -> str:
    """The digest of the text of a study, by which the store finds it."""
    return row_digest(_study_row(name, source, resolved))


def _study_row(name: str, source: str, resolved: str) -> dict[str, Any]:
    return {"name": name, "source": source, "resolved": resolved}


def _shared_row(connection: Connection, table: Table, values: dict[str, Any]) -> str:
    """The digest of the row with these values, which is inserted if it does not exist."""
    digest = row_digest(values)
    if connection.execute(select(table.c.digest).where(table.c.digest == digest)).scalar() is None:
        connection.execute(insert(table).values(digest=digest, **values))
    return digest


def _plan(connection: Connection, run: Run, specs: Sequence[TrialSpec]) -> None:
    rows = [
        {
            "run_id": run.id,
            "spec_id": spec.id,
            "spec_json": spec.model_dump_json(),
            **spec.model_dump(mode="json", exclude={"config", "generator_seed"}),
        }
        for spec in specs
    ]
    if rows:
        connection.execute(insert(trials), rows)


def _abandon(connection: Connection, run_id: str) -> None:
    """Mark running attempts as interrupted.

    The caller holds the lock of the run, so no other process can finish these attempts.
    """
    in_run = select(trials.c.id).where(trials.c.run_id == run_id)
    running = update(attempts).where(attempts.c.state == "running", attempts.c.trial_id.in_(in_run))
    running = running.values(state="interrupted", error="interrupted: the driver ended first")
    ended = connection.execute(running.returning(attempts.c.id)).scalars().all()
    add_links(connection, run_id, "ended", ended)

"""Opens a store, and creates, plans and locks runs for the driver."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, Engine, Table, func, insert, select, update

from harness.errors import StoreError
from harness.machine.process_identity import ProcessIdentity
from harness.store.database import Note, tried_again
from harness.store.declared import DeclarationStore
from harness.store.drivers import Drivers, fence, interrupt
from harness.store.engine import (
    make_engine,
    parse_location,
    shown_location,
    use_safest_journal,
    vacuum,
    writing,
)
from harness.store.heartbeat import Heartbeat, working_here
from harness.store.lock import try_lock
from harness.store.migrate import migrate
from harness.store.read import newest_run
from harness.store.rows import SESSION_COLUMNS, Identity, Run, Session, now, row_digest
from harness.store.tables import attempts, environments, runs, sessions, studies, trials
from harness.store.turns import take_turns, take_turns_in

if TYPE_CHECKING:
    from harness.trial.spec import TrialSpec


def open_store(location: str | Path) -> Store:
    """The store in a SQLite file or in a PostgreSQL database (`postgresql://user@host/database`).

    A missing database is created, and an older one is upgraded. Raises StoreError, with nothing written, if
    this is not possible, or if the database is damaged or belongs to another program.
    """
    engine = make_engine(parse_location(location))
    try:
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

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._drivers = Drivers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the database and every run. A session that was not closed counts as interrupted."""
        self._database.close()

    def create_run(  # noqa: PLR0913  the columns of a run
        self,
        identity: Identity,
        *,
        study: str,
        study_json: str,
        study_source: str,
        environment: Mapping[str, Any],
        trials: Sequence[TrialSpec],
        draws: tuple[int, int] = (1, 1),
        unless_there_is_one: bool = False,
    ) -> Run:
        """Create a run with this identity, the next ordinal, and the trials of its plan in their order.
        `draws` are its `draw` and its `training_draw`. With `unless_there_is_one`, the newest run with this
        identity is returned if there is one: another driver may have created it at the same time.
        """
        with self._database.writing() as connection:
            take_turns(connection)
            existing = newest_run(connection, identity) if unless_there_is_one else None
            if existing is not None:
                return existing
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
        self,
        run: Run,
        provenance: Mapping[str, Any],
        note: Note = lambda _message: None,
        *,
        shared: bool = False,
    ) -> Session:
        """Begin to work on a run. Drivers that have ended are fenced, and their running attempts are marked
        as interrupted. With `shared`, other drivers of a PostgreSQL database may work on the run as well.

        Until the session is closed, every method waits and tries again if the database fails in a way that
        may pass, and `note` says so to a person. StoreLostError is raised when that has taken too long
        (`harness.store.database.WAIT_SECONDS`), or when another driver has taken this one for dead.

        Raises StoreError if another driver works on the run. If that is not certain, because it runs on
        another machine, this waits until it is.
        """
        values: dict[str, Any] = {
            "run_id": run.id,
            "started_at": now(),
            "ended_at": None,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "provenance": dict(provenance),
            "process": asdict(ProcessIdentity.of_this_process()),
        }
        if self._engine.dialect.name == "sqlite":
            session, release = self._opened_alone(run, values)
        else:
            with working_here(run.id, values["started_at"]):
                session, release = self._opened_beside_others(run, values, note, shared=shared)
        self._database.hold(session, release, note)
        return session

    def _opened_alone(self, run: Run, values: dict[str, Any]) -> tuple[Session, Callable[[], None]]:
        """A session of a SQLite database. The lock of the run shows that no other driver works."""
        unlock = self._locked(run)
        try:
            with self._database.writing() as connection:
                fence(connection, run.id)
                return _begun(connection, values), unlock
        except BaseException:
            unlock()
            raise

    def _opened_beside_others(
        self, run: Run, values: dict[str, Any], note: Note, *, shared: bool
    ) -> tuple[Session, Callable[[], None]]:
        """A session of a PostgreSQL database, whose lease is kept by a heartbeat."""
        waiting = False
        while True:
            with self._database.writing() as connection:
                take_turns_in(connection, [run.id])
                others = self._drivers.others(connection, run.id)
                if shared or not others:
                    session = _begun(connection, values)
                    break
            if any(map(self._drivers.is_certain, others)):
                raise self._already_working(run)
            if not waiting:
                note(f"waiting to see whether {_driver(others[-1])} still works on this run")
                waiting = True
            self._database.pause()
        heartbeat = Heartbeat(self._engine, session)

        def release() -> None:
            heartbeat.stop()
            if not self._database.given_up:
                with suppress(StoreError), writing(self._engine) as connection:
                    of_session = sessions.c.id == session.id
                    connection.execute(update(sessions).where(of_session).values(writes=-1))

        return session, release

    @tried_again
    def other_drivers(self, session: Session) -> tuple[Session, ...]:
        """The sessions of all other drivers that work on the run of this session, the oldest first. Those
        that have ended are fenced, and their running attempts are marked as interrupted.
        """
        if self._engine.dialect.name == "sqlite":
            return ()
        with self._database.writing() as connection:
            return self._drivers.others(connection, session.run_id, session.id)

    def close_session(self, session: Session) -> None:
        """End the session. An attempt of it that is still running becomes interrupted.

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
            interrupt(connection, session.run_id, attempts.c.session_id == session.id)
            connection.execute(update(sessions).where(sessions.c.id == session.id).values(ended_at=now()))

    def compact(self) -> None:
        """Write a SQLite database anew, without free pages, while no driver works on any run.

        Raises StoreError, with nothing changed, if one does.
        """
        with ExitStack() as locks:
            for run in self.runs():
                locks.callback(self._locked(run))
            vacuum(self._engine)

    def _locked(self, run: Run) -> Callable[[], None]:
        unlock = try_lock(self._engine.url, run.id)
        if unlock is None:
            raise self._already_working(run)
        return unlock

    def _already_working(self, run: Run) -> StoreError:
        unended = [session for session in self.sessions(run) if session.ended_at is None]
        who = _driver(unended[-1]) if unended else "another process, which has just started,"
        return StoreError(
            f"{who} is already working on run {run.id} of {run.study}",
            at=shown_location(self._engine.url),
            hint="wait until it ends, or stop it",
        )


def _driver(session: Session) -> str:
    return f"process {session.pid} on {session.host} (since {session.started_at})"


def _begun(connection: Connection, values: dict[str, Any]) -> Session:
    begun = connection.execute(insert(sessions).values(values).returning(sessions.c.id)).scalar_one()
    return Session(id=begun, **{name: values[name] for name in SESSION_COLUMNS if name in values})


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

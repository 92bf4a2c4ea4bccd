"""Which drivers of a run still work.

In a PostgreSQL database several drivers may share a run. The row of its session is the lease of a driver: it
counts up `beats` every BEAT_SECONDS (`harness.store.heartbeat`). Whoever has seen the same count for
LEASE_SECONDS, by the own clock, sets the `writes` of that session to −1. This is the fence: every transaction
of a driver begins by counting up its `writes`, which then fails, so that nothing is recorded that a driver
still sends after its lease has ended (Kleppmann, "How to do distributed locking", 2016). No lock belongs to
a connection, so a pooler may give every transaction another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, select, update

from harness.machine.process_identity import ProcessIdentity
from harness.store.chain import add_links
from harness.store.heartbeat import BEAT_SECONDS, works_here
from harness.store.rows import SESSION_COLUMNS, Session
from harness.store.tables import attempts, sessions, trials

LEASE_SECONDS = 6 * BEAT_SECONDS


class _Watched(NamedTuple):
    """What was seen of a driver: its process, its first and its newest count, and since when the newest."""

    process: ProcessIdentity | None
    first: int
    newest: int
    since: float


class Drivers:
    """The drivers of runs, as far as one process has watched them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watched: dict[int, _Watched] = {}

    def others(self, connection: Connection, run_id: str, me: int | None = None) -> tuple[Session, ...]:
        """The sessions of the run whose drivers still work, except for the session `me`, the oldest first.
        Those of all others are fenced, and their running attempts are interrupted.
        """
        query = select(sessions).where(sessions.c.run_id == run_id, sessions.c.id != (me or -1))
        query = query.where(sessions.c.ended_at.is_(None), sessions.c.writes >= 0).order_by(sessions.c.id)
        rows = [(row, _session(row)) for row in connection.execute(query).all()]
        alive = tuple(session for row, session in rows if not self._has_ended(row, session))
        keep = [session.id for session in alive]
        fence(connection, run_id, [*keep, *([] if me is None else [me])])
        return alive

    def is_certain(self, session: Session) -> bool:
        """Whether the driver of a session that `others` has returned is known to work: its process runs on
        this machine, or its count was seen to change.
        """
        seen = self._watched[session.id]
        runs_here = seen.process is not None and seen.process.is_of_this_machine
        return runs_here or seen.newest > seen.first

    def _has_ended(self, row: Row[Any], session: Session) -> bool:
        seen, now = self._watched.get(row.id), self._clock()
        if seen is None:
            process = None if row.process is None else ProcessIdentity(**row.process)
            seen = self._watched[row.id] = _Watched(process, row.beats, row.beats, now)
        elif row.beats != seen.newest:
            seen = self._watched[row.id] = seen._replace(newest=row.beats, since=now)
        return _is_gone(seen.process, session) or now - seen.since >= LEASE_SECONDS


def _is_gone(process: ProcessIdentity | None, session: Session) -> bool:
    """Whether the driver of a session ran on this machine and has ended. If it ran in this process, it is
    enough that the session has been given up.
    """
    if process is None or not process.is_of_this_machine:
        return False
    is_this = process == ProcessIdentity.of_this_process()
    return process.has_ended or (is_this and not works_here(session))


def _session(row: Row[Any]) -> Session:
    return Session(**{name: getattr(row, name) for name in SESSION_COLUMNS})


def fence(connection: Connection, run_id: str, keep: Collection[int] = ()) -> None:
    """From now on, only the sessions `keep` write to the run. The running attempts of all others are marked
    as interrupted: nobody can finish them any more.
    """
    of_run = sessions.c.run_id == run_id
    fenced = update(sessions).where(of_run, sessions.c.id.not_in(keep), sessions.c.writes >= 0)
    connection.execute(fenced.values(writes=-1))
    interrupt(connection, run_id, attempts.c.session_id.not_in(keep))


def interrupt(connection: Connection, run_id: str, which: ColumnElement[bool]) -> None:
    """Mark running attempts of a run as interrupted."""
    in_run = select(trials.c.id).where(trials.c.run_id == run_id)
    running = update(attempts).where(attempts.c.state == "running", attempts.c.trial_id.in_(in_run), which)
    running = running.values(state="interrupted", error="interrupted: the driver ended first")
    ended = connection.execute(running.returning(attempts.c.id)).scalars().all()
    add_links(connection, run_id, "ended", ended)

"""The database as a driver uses it: its sessions are fenced, and it waits while the database is away.

Every transaction of a driver counts up the `writes` of its session. Whoever takes a driver for dead sets that
count to −1 (`harness.store.drivers`), so that it does not go on writing. And if a connection breaks while a
transaction is being recorded, the count tells whether it was.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Engine, select, update

from harness.errors import StoreLostError
from harness.store.engine import shown_location, writing
from harness.store.failures import DatabaseError, Trouble
from harness.store.rows import Session
from harness.store.tables import sessions
from harness.store.turns import take_turns_in
from harness.wording import format_seconds

WAIT_SECONDS: dict[Trouble, float] = {"server": 300, "lock": 300, "disk": 60}
"""How long a driver tries again before it gives up."""

RETRY_SECONDS = 1.0

Note = Callable[[str], None]
T = TypeVar("T")
P = ParamSpec("P")


@dataclass(slots=True)
class _OpenSession:
    session: Session
    release: Callable[[], None]
    note: Note


class Database:
    """The database of a store, and the sessions that this store has opened in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[int, _OpenSession] = {}
        self.given_up = False

    def hold(self, session: Session, release: Callable[[], None], note: Note) -> None:
        """From now on, every transaction belongs to this session. `release` is called at its end, and `note`
        tells a person about waiting.
        """
        self._open[session.id] = _OpenSession(session, release, note)

    def release(self, session: Session) -> None:
        """Let other drivers have the run of the session."""
        self._open.pop(session.id).release()

    def close(self) -> None:
        """Release every run, and the connections."""
        while self._open:
            self.release(next(iter(self._open.values())).session)
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction as `harness.store.engine.writing`, of all open sessions. If its end is not known
        because the connection broke, it is found out.

        Raises StoreLostError if another driver has taken a run over.
        """
        counts: dict[int, int] = {}
        ending = False
        try:
            with writing(self._engine) as connection:
                take_turns_in(connection, {held.session.run_id for held in self._open.values()})
                for held in self._open.values():
                    counts[held.session.id] = self._counted(connection, held)
                yield connection
                ending = True
        except DatabaseError:
            if not (ending and counts and self.again(lambda: self._was_recorded(counts))):
                raise

    def again(self, step: Callable[[], T]) -> T:
        """The result of a step, which is tried again if the database fails in a way that may pass. Without an
        open session it is tried once.

        Raises StoreLostError when the time is over.
        """
        begun: float | None = None
        while True:
            try:
                result = step()
            except DatabaseError as failure:
                if not self._open:
                    raise
                limit = WAIT_SECONDS[failure.trouble] if failure.trouble else 0.0
                if begun is None:
                    begun = time.monotonic()
                    if limit:
                        self._note(f"{failure}; trying again for {format_seconds(limit)}")
                if time.monotonic() - begun >= limit:
                    self.given_up = True
                    raise _lost(failure, limit) from failure
                self._wait()
            else:
                if begun is not None:
                    away = format_seconds(time.monotonic() - begun)
                    self._note(f"the store is there again after {away}, and the run goes on")
                return result

    @staticmethod
    def pause() -> None:
        """Wait a moment before something is tried again."""
        time.sleep(RETRY_SECONDS)

    def _wait(self) -> None:
        try:
            self.pause()
        except BaseException:  # whoever interrupts this does not want to wait again
            self.given_up = True
            raise
        self._engine.dispose()  # its connections may be broken

    def _note(self, message: str) -> None:
        for held in self._open.values():
            held.note(message)

    def _counted(self, connection: Connection, held: _OpenSession) -> int:
        """Count up the writes of the session, and return them."""
        fenced = (sessions.c.id == held.session.id) & (sessions.c.writes >= 0)
        count = update(sessions).where(fenced).values(writes=sessions.c.writes + 1)
        writes: int | None = connection.execute(count.returning(sessions.c.writes)).scalar()
        if writes is None:
            raise self._taken_over(connection, held)
        return writes

    def _was_recorded(self, counts: dict[int, int]) -> bool:
        """Whether the transaction that made these counts was recorded."""
        [(session_id, count), *_] = counts.items()
        query = select(sessions.c.writes).where(sessions.c.id == session_id)
        with writing(self._engine) as connection:
            # With the lock of the row, this waits for a server that is still recording.
            writes: int = connection.execute(query.with_for_update()).scalar_one()
            if writes < 0:
                raise self._taken_over(connection, self._open[session_id])
        return writes >= count

    def _taken_over(self, connection: Connection, held: _OpenSession) -> StoreLostError:
        self.given_up = True
        run_id = held.session.run_id
        others = select(sessions.c.host, sessions.c.pid).where(sessions.c.run_id == run_id)
        others = others.where(sessions.c.id != held.session.id).order_by(sessions.c.id.desc()).limit(1)
        newest = connection.execute(others).first()
        who = f"process {newest.pid} on {newest.host}" if newest else "another process"
        return StoreLostError(
            f"{who} has taken over run {run_id}, so this process stops",
            at=shown_location(self._engine.url),
            hint="what this process recorded before is kept",
        )


def _lost(failure: DatabaseError, limit: float) -> StoreLostError:
    tried = f" (tried again for {format_seconds(limit)})" if limit else ""
    return StoreLostError(
        f"{failure.message}{tried}",
        at=failure.at,
        hint="what was recorded before is kept; the same command goes on when the store is there again",
    )


class _Stored(Protocol):
    @property
    def _database(self) -> Database: ...


S = TypeVar("S", bound=_Stored)


def tried_again(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method of a store that `Database.again` may call several times with the same arguments."""

    @functools.wraps(method)
    def tried(self: S, /, *arguments: P.args, **named: P.kwargs) -> T:
        return self._database.again(lambda: method(self, *arguments, **named))

    return tried

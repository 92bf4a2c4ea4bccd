"""The other drivers that work on the same run. Only a PostgreSQL database lets there be any.

They share the trials that are not timed: a trial belongs to the driver that begins it first. Timed trials are
run by one driver, the one that began to work on the run before all others that still do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.run.attempts import ATTEMPTS
from harness.run.listener import Listener
from harness.store.rows import Session
from harness.store.store import Store

LOOK_SECONDS = 1.0


class OtherDrivers:
    """The other drivers of the run of a session."""

    def __init__(self, session: Session, store: Store, listener: Listener) -> None:
        self._session, self._store, self._listener = session, store, listener
        self._seen = False
        self._greet(self.now())

    def now(self) -> tuple[Session, ...]:
        """The sessions of those that work at the moment, the oldest first."""
        others = self._store.other_drivers(self._session)
        self._seen = self._seen or bool(others)
        return others

    def have_worked(self) -> bool:
        """Whether one of them works, or did since this driver began."""
        return self._seen or bool(self.now())

    def working(self) -> frozenset[int]:
        """The ids of the sessions of all drivers that work at the moment, with this one."""
        return frozenset(other.id for other in (self._session, *self.now()))

    def older(self) -> tuple[Session, ...]:
        """The sessions of those that began before this driver and still work."""
        return tuple(other for other in self.now() if other.id < self._session.id)

    def wait_for_turn(self, before_waiting: Callable[[], None]) -> None:
        """Wait until this driver may run timed trials. `before_waiting` is called if it may not yet."""
        self._wait(self.older, before_waiting, "measures the timed trials of this run")

    def wait_until_settled(self, before_waiting: Callable[[], None]) -> None:
        """Wait until no trial of another driver goes on. `before_waiting` is called if one does."""
        self._wait(self._unsettled, before_waiting, "has not finished its trials of this run")

    def _unsettled(self) -> tuple[Session, ...]:
        others = self.now()
        waits = others and self._store.waits_for_others(self._session, others, tries=ATTEMPTS)
        return others if waits else ()

    def _wait(
        self, blockers: Callable[[], tuple[Session, ...]], before_waiting: Callable[[], None], what: str
    ) -> None:
        others = blockers()
        if others:
            before_waiting()
            self._listener.waiting(f"waiting for {_named(others[0])}, which {what}")
        while others:
            time.sleep(LOOK_SECONDS)
            others = blockers()

    def _greet(self, others: tuple[Session, ...]) -> None:
        for other in others:
            self._listener.note(f"{_named(other)} works on this run as well")


def _named(session: Session) -> str:
    return f"process {session.pid} on {session.host}"

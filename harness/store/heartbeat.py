"""Says again and again that a driver still works, also while it waits for a trial of several hours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from sqlalchemy import Engine, update

from harness.errors import StoreError
from harness.store.engine import writing
from harness.store.rows import Session
from harness.store.tables import sessions

BEAT_SECONDS = 10.0

_working: set[tuple[str, str]] = set()
"""Run and start of the sessions whose drivers work in this process. They are the same in all databases."""


@contextlib.contextmanager
def working_here(run_id: str, started_at: str) -> Iterator[None]:
    """A session that starts in this block works in this process until its heartbeat is stopped."""
    _working.add((run_id, started_at))
    try:
        yield
    except BaseException:
        _working.discard((run_id, started_at))
        raise


def works_here(session: Session) -> bool:
    """Whether the driver of this session works in this process."""
    return (session.run_id, session.started_at) in _working


class Heartbeat:
    """Counts up the `beats` of a session, in a thread of its own, until it is stopped."""

    def __init__(self, engine: Engine, session: Session) -> None:
        self._engine, self._session = engine, session
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        _working.discard((self._session.run_id, self._session.started_at))
        self._stopped.set()
        self._thread.join(timeout=1.0)  # it may be waiting for a server that has disappeared

    def _beat(self) -> None:
        beat = update(sessions).where(sessions.c.id == self._session.id).values(beats=sessions.c.beats + 1)
        while not self._stopped.wait(BEAT_SECONDS):
            with contextlib.suppress(StoreError), writing(self._engine) as connection:
                connection.execute(beat)

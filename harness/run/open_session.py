"""Whether the driver of a session still works."""

from __future__ import annotations

import socket

import psutil

from harness.store.rows import Session


def is_open(session: Session) -> bool:
    """A driver that was killed has left its session open, so its process is looked at too, if it ran here."""
    if session.ended_at is not None:
        return False
    return session.host != socket.gethostname() or psutil.pid_exists(session.pid)

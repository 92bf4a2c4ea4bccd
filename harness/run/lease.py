"""A lock on the machine: two drivers that train or measure at the same time would slow each other down."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def machine_lease(note: Callable[[str], None]) -> Iterator[None]:
    """Lock this machine for trials that are timed or use all of it. The lock also ends with the process.

    If another driver holds the lock, `note` receives one message, and this function waits.
    """
    path = Path(tempfile.gettempdir()) / f"transformer-harness-{os.getuid()}.lock"
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "(unknown)"
            note(f"waiting for process {holder}, which is training or measuring on this machine")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

"""One driver at a time trains or measures on a machine: two at once would slow each other down, and what is
timed would be wrong.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def machine_lease(waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold this machine for trials that take all of it or are timed; `waiting` is told once if another driver
    holds it. Ends with the process, too.
    """
    path = Path(tempfile.gettempdir()) / f"transformer-harness-{os.getuid()}.lock"
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            waiting(
                f"process {file.read().strip() or '?'} is training or measuring on this machine; waiting until it is done"
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

"""Files that a driver and its worker in a Slurm job exchange, in a folder that both machines see.

    driver:   start, job-1, cancel-1, job-2, …, stop        and `heartbeat` in the folder above
    worker:   facts, samples-1, result-1, result-2, …, ended

A file appears with all of its content, and is never changed afterwards; `heartbeat` is replaced, and samples
are appended. No locks are needed.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

LOOK_S = 0.2
"""How often both sides look for new files."""

START, FACTS, STOP, ENDED, HEARTBEAT = "start", "facts", "stop", "ended", "heartbeat"
JOB, CANCEL, SAMPLES, RESULT = "job", "cancel", "samples", "result"

_PARTIAL = ".partial"


def numbered(kind: str, number: int) -> str:
    """The name of a file about one job of a worker. They count from 1."""
    return f"{kind}-{number}"


class Mailbox:
    """One worker's folder, seen from either side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> set[str]:
        """The files that are complete. Raises FileNotFoundError if the folder is gone, or OSError if the file
        system does not answer.
        """
        with contextlib.suppress(OSError):
            self.folder.chmod(0o700)  # a client of NFS asks its server again after this
        return {path.name for path in self.folder.iterdir() if not path.name.endswith(_PARTIAL)}

    def put(self, name: str, content: Any) -> None:
        """Write plain data as a new file."""
        self.put_bytes(name, json.dumps(content).encode())

    def put_bytes(self, name: str, content: bytes) -> None:
        partial = self.folder / f"{name}{_PARTIAL}"
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / name)

    def get(self, name: str) -> Any:
        return json.loads(self.get_bytes(name))

    def get_bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

"""The file of events of a trial that is running, read without disturbing the trial."""

from __future__ import annotations

import os
from pathlib import Path

from harness.trial.outcome import Sample, samples_of

LAST_BYTES = 16 * 2**10
"""The last samples of a trial are those in so many bytes."""


class EventTail:
    """Reads what a trial has written so far."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def new_samples(self, only: str | None = None) -> list[Sample]:
        """The samples since the last call, or those of one metric. There are none before the trial begins and
        after its end, when there is no file.
        """
        lines = self._lines(self._read)
        self._read += sum(map(len, lines))
        if only is not None:
            lines = [line for line in lines if f'"{only}"'.encode() in line]
            return [sample for sample in samples_of(lines) if sample.metric == only]
        return samples_of(lines)

    def last_samples(self) -> list[Sample]:
        """The newest samples, whatever was read before. The time that this takes does not depend on how much
        the trial has written.
        """
        try:
            begin = max(0, self._path.stat().st_size - LAST_BYTES)
        except OSError:
            return []
        return samples_of(self._lines(begin)[min(begin, 1) :])  # the first line may lack its beginning

    def _lines(self, begin: int) -> list[bytes]:
        """The complete lines from this byte on."""
        try:
            with self._path.open("rb") as file:
                file.seek(begin, os.SEEK_SET)
                written = file.read()
        except FileNotFoundError:
            return []
        return written[: written.rfind(b"\n") + 1].splitlines(keepends=True)

"""Trials that a later session does not try again, because they would only fail again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Self

from harness.store.rows import TrialRow

MOST_ATTEMPTS = 6
"""A trial that ends for an outside reason is tried this often, in all sessions together."""


class GivenUp:
    """The ids of the trials that were given up, each with the newest attempt at it."""

    def __init__(self, rows: Iterable[TrialRow]) -> None:
        self._rows = {row.spec_id: row for row in rows}

    @classmethod
    def after(cls, rows: Iterable[TrialRow], working: Collection[int] = ()) -> Self:
        """`rows` are all attempts of a run. A trial is given up if its newest attempt failed by itself, or
        was lost after so many others. What drivers that still work have lost is also given up: they have
        tried it again. `working` are their sessions.
        """
        newest: dict[str, TrialRow] = {}
        for row in rows:
            newest[row.spec_id] = max(newest.get(row.spec_id, row), row, key=lambda one: one.id)
        return cls(row for row in newest.values() if _is_hopeless(row, working))

    def __contains__(self, spec_id: str) -> bool:
        return spec_id in self._rows

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def message(self) -> str:
        """How many there are, and what to do about it."""
        count, first = len(self._rows), next(iter(self._rows.values()))
        one = count == 1
        trials, they = ("1 trial is", "it") if one else (f"{count:,} trials are", "they")
        return (
            f"{trials} not tried again, because {they} failed before ({'' if one else 'the first one: '}"
            f"{first.failure}); --retry-failed tries {'it' if one else 'them'} again"
        )


def _is_hopeless(row: TrialRow, working: Collection[int]) -> bool:
    if row.purpose == "lead-in":  # it has no result, so it holds nothing up
        return False
    if row.session_id in working and row.state in ("lost", "interrupted"):
        return True
    return row.state == "failed" or (row.state == "lost" and row.attempt >= MOST_ATTEMPTS)

"""Lost measurements: their round was begun, so it is never run again, and they have no value that counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from harness.store.rows import COUNTED_STATES, AttemptState


class Attempt(Protocol):
    """What is needed of an attempt to say whether its measurement is lost. `id` counts attempts."""

    @property
    def id(self) -> int: ...
    @property
    def spec_id(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def round(self) -> int: ...
    @property
    def state(self) -> AttemptState: ...
    @property
    def superseded_state(self) -> AttemptState | None: ...


Row = TypeVar("Row", bound=Attempt)


class LostTrials(Generic[Row]):
    """The newest attempt at every measurement that was interrupted, whose worker was killed, or whose value
    was set aside, in a round of which a value was measured. Attempts of a run are added as they begin and
    whenever their state changes.

    A trial that failed by itself is not lost, and neither is one without any attempt: it is missing.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._without_value: dict[str, Row] = {}
        self._begun: set[tuple[int, int]] = set()

    def add(self, row: Row) -> None:
        if row.purpose != "measure":
            return
        was_counted = row.superseded_state in COUNTED_STATES
        if row.state in COUNTED_STATES or was_counted:
            self._begun.add((row.round, row.seed))
        if row.id < self._newest.get(row.spec_id, row.id):
            return
        self._newest[row.spec_id] = row.id
        self._without_value.pop(row.spec_id, None)
        if row.state in ("interrupted", "lost") or was_counted:
            self._without_value[row.spec_id] = row

    def __iter__(self) -> Iterator[Row]:
        return (row for row in self._without_value.values() if (row.round, row.seed) in self._begun)


def lost_trials(rows: Iterable[Row]) -> Iterator[Row]:
    """The lost measurements among all attempts of a run."""
    lost = LostTrials[Row]()
    for row in rows:
        lost.add(row)
    return iter(lost)

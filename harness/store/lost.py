"""Lost measurements: their round was begun, so it is never run again, and they have no value that counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.store.rows import COUNTED_STATES, TrialRow


def lost_trials(rows: Iterable[TrialRow]) -> Iterator[TrialRow]:
    """The newest attempt at every measurement that was interrupted, whose worker was killed, or whose value
    was set aside, in a round of which a value was measured. `rows` are all attempts of a run.

    A trial that failed by itself is not lost, and neither is one without any attempt: it is missing.
    """
    newest: dict[str, TrialRow] = {}
    begun: set[tuple[int, int]] = set()
    for row in rows:
        if row.purpose == "measure":
            newest[row.spec_id] = max(newest.get(row.spec_id, row), row, key=lambda one: one.id)
            if row.state in COUNTED_STATES or row.superseded_state in COUNTED_STATES:
                begun.add((row.round, row.seed))
    for row in newest.values():
        without_value = row.state in ("interrupted", "lost") or row.superseded_state in COUNTED_STATES
        if without_value and (row.round, row.seed) in begun:
            yield row

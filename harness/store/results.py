"""The results of a run as it grows: only what has changed since the last time is read again.

A driver asks for the results after every batch. Reading all attempts each time would make the cost of a run
grow with the square of its trials.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, Engine, RowMapping, select

from harness.store.engine import reading
from harness.store.lost import LostTrials
from harness.store.pieces import ATTEMPTS_AT_ONCE, in_parts
from harness.store.rows import COUNTED_STATES, AttemptState
from harness.store.samples import SampleReader
from harness.store.tables import attempts, chain, trials
from harness.store.void import DISTURBED
from harness.study.planning.results import RunResults, StoredResult, result_values
from harness.trial.spec import current_id


class _Attempt(NamedTuple):
    id: int
    spec_id: str
    purpose: str
    seed: int
    round: int
    session: int
    state: AttemptState
    superseded_state: AttemptState | None
    disturbed: bool


_ROWS = select(
    *(attempts.c[name] for name in ("id", "session_id", "state", "superseded_state", "notes")),
    *(trials.c[name] for name in ("spec_id", "spec_json", "purpose", "seed", "round")),
).join(trials, trials.c.id == attempts.c.trial_id)


class GrowingResults:
    """The results of a run with their values of some metrics.

    A new attempt has a higher id than all before it, and whatever changes the state of an attempt adds a link
    to the chain of its run. So these two say what is new.
    """

    def __init__(self, engine: Engine, run_id: str, metrics: Collection[str]) -> None:
        self._engine, self._run_id, self._metrics = engine, run_id, frozenset(metrics)
        self._last_attempt, self._last_link, self._last_trial = 0, -1, 0
        self._results: dict[str, StoredResult] = {}
        self._result_of: dict[int, str] = {}
        self._disturbed: dict[int, int] = {}
        self._lost = LostTrials[_Attempt]()
        self._tuning: list[str] = []

    def now(self) -> RunResults:
        """The results as they are now."""
        with reading(self._engine) as connection:
            rows = self._new_rows(connection)
            self._tuning += self._new_tuning(connection)
        for row in rows:
            self._lost.add(row)
            self._disturbed.pop(row.id, None)
            if row.disturbed and row.purpose == "measure" and row.state in COUNTED_STATES:
                self._disturbed[row.id] = row.round
            if row.id in self._result_of and row.state not in COUNTED_STATES:
                del self._results[self._result_of.pop(row.id)]
        self._add_results([row for row in rows if row.state in COUNTED_STATES])
        return RunResults(
            self._results,
            lost={row.spec_id: row.round for row in self._lost},
            void=frozenset(self._disturbed.values()),
            tuning=tuple(self._tuning),
        )

    def _new_rows(self, connection: Connection) -> list[_Attempt]:
        """The attempts that have begun or changed since the last time, in their order."""
        links = select(chain.c.number, chain.c.attempt_id).where(chain.c.run_id == self._run_id)
        changed = connection.execute(links.where(chain.c.number > self._last_link)).all()
        self._last_link = max((number for number, _ in changed), default=self._last_link)
        # A condition on the trials that are joined would let SQLite begin with all trials of the run.
        same = trials.alias()
        in_run = select(same.c.id).where(same.c.id == attempts.c.trial_id, same.c.run_id == self._run_id)
        begun = _ROWS.where(attempts.c.id > self._last_attempt, in_run.exists())
        rows = [_attempt(row) for row in connection.execute(begun.order_by(attempts.c.id)).mappings()]
        earlier = sorted({attempt_id for _, attempt_id in changed if attempt_id <= self._last_attempt})
        for ids in in_parts(earlier, ATTEMPTS_AT_ONCE):
            query = _ROWS.where(attempts.c.id.in_(ids))
            rows += [_attempt(row) for row in connection.execute(query).mappings()]
        self._last_attempt = max((row.id for row in rows), default=self._last_attempt)
        return sorted(rows)

    def _new_tuning(self, connection: Connection) -> list[str]:
        """The trials of tuning that were planned since the last time, as JSON, in the order of the plan."""
        planned = select(trials.c.id, trials.c.spec_json).where(trials.c.run_id == self._run_id)
        planned = planned.where(trials.c.id > self._last_trial, trials.c.purpose == "tune")
        rows = connection.execute(planned.order_by(trials.c.id)).all()
        self._last_trial = max((number for number, _ in rows), default=self._last_trial)
        return [spec_json for _, spec_json in rows]

    def _add_results(self, rows: Iterable[_Attempt]) -> None:
        reader, new = SampleReader(self._engine), [row for row in rows if row.id not in self._result_of]
        counts = reader.sample_counts(row.id for row in new) if self._metrics else {}
        values = {name: reader.attempt_values(name, counts[name]) for name in self._metrics & counts.keys()}
        for row in new:
            diverged = row.state == "diverged"
            measured = {
                name: by_attempt[row.id] for name, by_attempt in values.items() if row.id in by_attempt
            }
            self._result_of[row.id] = row.spec_id
            self._results[row.spec_id] = StoredResult(
                spec_id=row.spec_id,
                session=row.session,
                diverged=diverged,
                values=result_values(measured, self._metrics, diverged=diverged),
            )


def _attempt(row: RowMapping) -> _Attempt:
    return _Attempt(
        id=row["id"],
        spec_id=current_id(row["spec_json"], row["spec_id"]),
        purpose=row["purpose"],
        seed=row["seed"],
        round=row["round"],
        session=row["session_id"],
        state=row["state"],
        superseded_state=row["superseded_state"],
        disturbed=bool(row["notes"].get(DISTURBED)),
    )

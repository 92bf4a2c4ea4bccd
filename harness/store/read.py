"""Questions to the store. None of them writes, so a viewer never disturbs a driver for longer than one query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, RowMapping, Select, Table, select
from sqlalchemy.sql.elements import ColumnElement

from harness.store.engine import reading
from harness.store.rows import Checkpoint, CheckRow, Identity, Run, SampleRow, Session, TelemetryRow, TrialRow
from harness.store.tables import checkpoints, checks, runs, samples, sessions, telemetry, trials

RUN_COLUMNS = [column for column in runs.columns if column.name != "identity_digest"]
_SEEN_COLUMNS = [column for column in telemetry.columns if column.name != "id"]
_CHECK_COLUMNS = [column for column in checks.columns if column.name != "id"]


class Reader:
    """The reading half of the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find_run(self, identity: Identity) -> Run | None:
        """The newest run of exactly that identity."""
        query = select(*RUN_COLUMNS).where(runs.c.identity_digest == identity.digest)
        return self._newest_run(query.order_by(runs.c.ordinal.desc()))

    def latest_run(self, study: str, *, plant: str | None = None) -> Run | None:
        """The newest run of a study, of any scale, code and environment: an honest one, unless `plant` names a bug."""
        planted = runs.c.plant.is_(None) if plant is None else runs.c.plant == plant
        query = select(*RUN_COLUMNS).where(runs.c.study == study, planted)
        return self._newest_run(query.order_by(runs.c.created_at.desc(), runs.c.ordinal.desc()))

    def runs(self, study: str | None = None) -> list[Run]:
        """All runs, or those of one study, the oldest first; runs with a planted bug are among them."""
        query = select(*RUN_COLUMNS).order_by(runs.c.created_at, runs.c.ordinal)
        if study is not None:
            query = query.where(runs.c.study == study)
        return [Run(**row) for row in self._all(query)]

    def sessions(self, run: Run) -> list[Session]:
        """The driver's invocations, the oldest first."""
        query = select(sessions).where(sessions.c.run_id == run.id).order_by(sessions.c.id)
        return [Session(**row) for row in self._all(query)]

    def trials(self, run: Run, *, include_superseded: bool = False) -> list[TrialRow]:
        """Attempts in the order in which they were begun, failed ones and any now running among them."""
        query = select(trials).where(_of(run, include_superseded)).order_by(trials.c.id)
        return [TrialRow(**row) for row in self._all(query)]

    def finished_spec_ids(self, run: Run) -> frozenset[str]:
        """The content ids of the trials that need not run again."""
        query = select(trials.c.spec_id).where(trials.c.run_id == run.id, trials.c.status == "finished")
        with reading(self._engine) as connection:
            return frozenset(connection.execute(query).scalars())

    def samples(self, run: Run, *, include_superseded: bool = False) -> list[SampleRow]:
        """Every raw value of the run's trials, failed ones too, by trial, metric and step.

        A list rather than a stream: an open query would keep writers of the database waiting.
        """
        query = _joined(samples, list(samples.columns), run, include_superseded)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(*samples.primary_key.columns))
            return list(map(SampleRow._make, rows))

    def checks(self, run: Run, *, include_superseded: bool = False) -> list[CheckRow]:
        """The comparisons of the run's invariants, in the order in which they were recorded."""
        query = _joined(checks, _CHECK_COLUMNS, run, include_superseded)
        return [CheckRow(**row) for row in self._all(query.order_by(checks.c.id))]

    def telemetry(self, run: Run, *, include_superseded: bool = False) -> list[TelemetryRow]:
        """What was seen of the run's trials from outside, in the order in which it was recorded."""
        query = _joined(telemetry, _SEEN_COLUMNS, run, include_superseded)
        return [TelemetryRow(**row) for row in self._all(query.order_by(telemetry.c.id))]

    def checkpoint(self, content_id: str) -> Checkpoint | None:
        """The model trained by that recipe, whichever run trained it."""
        rows = self._all(select(checkpoints).where(checkpoints.c.id == content_id))
        return Checkpoint(**rows[0]) if rows else None

    def _newest_run(self, query: Select[Any]) -> Run | None:
        rows = self._all(query.limit(1))
        return Run(**rows[0]) if rows else None

    def _all(self, query: Select[Any]) -> Sequence[RowMapping]:
        with reading(self._engine) as connection:
            return connection.execute(query).mappings().all()


def _of(run: Run, include_superseded: bool) -> ColumnElement[bool]:  # noqa: FBT001
    of_run = trials.c.run_id == run.id
    return of_run if include_superseded else of_run & (trials.c.status != "superseded")


def _joined(table: Table, columns: list[Any], run: Run, include_superseded: bool) -> Select[Any]:  # noqa: FBT001
    return select(*columns).join(trials, trials.c.id == table.c.trial_id).where(_of(run, include_superseded))

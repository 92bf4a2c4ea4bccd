"""Queries to the store.

None of them writes, so a reader never disturbs a driver for longer than one query.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, Engine, RowMapping, Select, Table, func, select
from sqlalchemy.sql.elements import ColumnElement

from harness.store.chain import checked_chain
from harness.store.database import Database, tried_again
from harness.store.engine import reading
from harness.store.pieces import ATTEMPTS_AT_ONCE
from harness.store.results import GrowingResults
from harness.store.rows import (
    SESSION_COLUMNS,
    Artifact,
    AttemptNow,
    AttemptTime,
    CalibrationRow,
    Chain,
    CheckRow,
    Identity,
    PlannedTrial,
    Run,
    SampleRow,
    Session,
    TelemetryRow,
    TrialRow,
    VerdictRow,
)
from harness.store.samples import SampleReader
from harness.store.tables import (
    artifacts,
    attempt_sentences,
    attempts,
    calibrations,
    checks,
    environments,
    runs,
    samples,
    sentences,
    sessions,
    studies,
    telemetry,
    trials,
    verdicts,
)
from harness.study.planning.results import RunResults
from harness.trial.spec import Purpose, current_id, first_id, read_id

if TYPE_CHECKING:
    from harness.scoring.sentences import Sentences

_TRIAL_COLUMNS = [column for column in trials.columns if column.name not in ("id", "run_id")]
_ATTEMPT_COLUMNS = [column for column in attempts.columns if column.name not in ("trial_id", "number")]
_VERDICT_COLUMNS = [column for column in verdicts.columns if column.name not in ("run_id", "place")]
_IN_PIECES = {"yield_per": ATTEMPTS_AT_ONCE}
_RUN = (
    select(
        *(
            column
            for column in runs.columns
            if column.name not in ("identity_digest", "study_row", "environment_row")
        ),
        studies.c.name.label("study"),
        studies.c.source.label("study_source"),
        studies.c.resolved.label("study_json"),
        environments.c.facts.label("environment"),
        select(func.count()).where(trials.c.run_id == runs.c.id).scalar_subquery().label("expected_trials"),
    )
    .join(studies, studies.c.digest == runs.c.study_row)
    .join(environments, environments.c.digest == runs.c.environment_row)
)


class Reader(SampleReader):
    """The part of the store that reads."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._results: dict[tuple[str, frozenset[str]], GrowingResults] = {}
        self._database = Database(engine)

    @tried_again
    def find_run(self, identity: Identity) -> Run | None:
        """The newest run with exactly this identity."""
        with reading(self._engine) as connection:
            return newest_run(connection, identity)

    def runs(self, study: str | None = None) -> list[Run]:
        """All runs or those of one study, the oldest first, including runs with a planted bug."""
        query = _RUN.order_by(runs.c.number)
        if study is not None:
            query = query.where(studies.c.name == study)
        return [Run(**row) for row in self._all(query)]

    def study(self, key: str) -> tuple[str, str] | None:
        """The source and the resolved JSON of the study with this digest of its text, or None."""
        rows = self._all(select(studies).where(studies.c.digest == key))
        return (rows[0]["source"], rows[0]["resolved"]) if rows else None

    def sessions(self, run: Run) -> list[Session]:
        """The sessions of the run, the oldest first."""
        columns = [sessions.c[name] for name in SESSION_COLUMNS]
        query = select(*columns).where(sessions.c.run_id == run.id).order_by(sessions.c.id)
        return [Session(**row) for row in self._all(query)]

    def planned(self, run: Run) -> list[PlannedTrial]:
        """Every trial of the run's plan in the order of the plan, with or without an attempt."""
        other = attempts.alias()
        same_trial = other.c.trial_id == trials.c.id
        newest = select(func.max(other.c.id)).where(same_trial).scalar_subquery()
        count = select(func.count()).where(same_trial).scalar_subquery().label("attempts")
        state = func.coalesce(attempts.c.state, "planned").label("state")
        query = select(*_TRIAL_COLUMNS, state, count).outerjoin_from(
            trials, attempts, attempts.c.id == newest
        )
        query = query.where(trials.c.run_id == run.id).order_by(trials.c.id)
        return [PlannedTrial(**_with_current_id(row)) for row in self._all(query)]

    def planned_specs(self, run: Run, purpose: Purpose) -> Iterator[str]:
        """The trials of the run's plan with this purpose as JSON, in the order of the plan."""
        query = select(trials.c.spec_json).where(trials.c.run_id == run.id, trials.c.purpose == purpose)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(trials.c.id), execution_options=_IN_PIECES)
            yield from rows.scalars()

    def planned_ids(self, run: Run) -> set[str]:
        """The ids of the trials of the run's plan."""
        query = select(trials.c.spec_json, trials.c.spec_id).where(trials.c.run_id == run.id)
        return {current_id(row["spec_json"], row["spec_id"]) for row in self._all(query)}

    def attempts_now(self, run: Run) -> list[AttemptNow]:
        """The state of every attempt of the run, in the order in which they began. What an attempt that has
        ended holds never changes, so these say whether there is anything new.
        """
        query = select(attempts.c.id, attempts.c.state).join(trials, trials.c.id == attempts.c.trial_id)
        query = query.where(trials.c.run_id == run.id).order_by(attempts.c.id)
        return [AttemptNow(**row) for row in self._all(query)]

    def attempt_times(self, run: Run) -> list[AttemptTime]:
        """When each attempt of the run began and how long it took, in the order in which they began. It reads
        nothing of what they recorded, so it can be asked often.
        """
        columns = [trials.c.spec_id, *(attempts.c[name] for name in AttemptTime._fields[1:])]
        query = select(*columns).join(trials, trials.c.id == attempts.c.trial_id)
        query = query.where(trials.c.run_id == run.id).order_by(attempts.c.id)
        return [AttemptTime(**row) for row in self._all(query)]

    def trials(self, run: Run, *, include_superseded: bool = False) -> list[TrialRow]:
        """All attempts in the order in which they began, including failed and running ones."""
        return self._trial_rows(_belongs_to(run, include_superseded))

    def trial(self, run: Run, trial_id: str) -> list[TrialRow]:
        """All attempts at the trial of the run that has this id by the rules of today or the first version,
        in the order in which they began.
        """
        planned = select(trials.c.id, trials.c.spec_id, trials.c.spec_json).where(trials.c.run_id == run.id)
        for query in (planned.where(trials.c.spec_id == trial_id), planned):
            with reading(self._engine) as connection:
                rows = connection.execute(query, execution_options={"yield_per": ATTEMPTS_AT_ONCE})
                ids = [number for number, *trial in rows if trial_id in _ids(*trial)]
            if ids:
                return self._trial_rows(trials.c.id.in_(ids))
        return []

    def _trial_rows(self, chosen: ColumnElement[bool]) -> list[TrialRow]:
        query = select(
            trials.c.run_id, *_TRIAL_COLUMNS, *_ATTEMPT_COLUMNS, attempts.c.number.label("attempt")
        )
        query = query.join(attempts, attempts.c.trial_id == trials.c.id).where(chosen)
        return [TrialRow(**_with_current_id(row)) for row in self._all(query.order_by(attempts.c.id))]

    @tried_again
    def results(self, run: Run, metrics: Collection[str] = ()) -> RunResults:
        """The result of each finished trial by the trial's content id, with its values of these metrics."""
        key = run.id, frozenset(metrics)
        growing = self._results.pop(key, None) or GrowingResults(self._engine, *key)
        results = growing.now()
        self._results[key] = growing  # if reading failed in between, all is read again
        return results

    def samples(self, run: Run, *, include_superseded: bool = False) -> list[SampleRow]:
        """Every sample of the run's attempts, including failed ones, by attempt, metric and step. There may
        be very many: `sample_pieces` and `attempt_values` need less memory.
        """
        in_run = select(attempts.c.id).join(trials, trials.c.id == attempts.c.trial_id)
        ids = [row["id"] for row in self._all(in_run.where(_belongs_to(run, include_superseded)))]
        return [
            SampleRow(*row[:3], math.nan if row[3] is None else row[3])
            for piece in self.sample_pieces(self.sample_counts(ids))
            for row in piece
        ]

    def curve(self, run: Run, spec_id: str, metric: str) -> list[tuple[int, float]]:
        """The step and the value of each sample of a metric in the newest attempt at a trial."""
        newest = select(func.max(attempts.c.id)).join(trials, trials.c.id == attempts.c.trial_id)
        newest = newest.where(trials.c.run_id == run.id, trials.c.spec_id == spec_id)
        query = select(samples.c.step, samples.c.value).where(
            samples.c.attempt_id == newest.scalar_subquery(), samples.c.metric == metric
        )
        return [(row["step"], row["value"]) for row in self._all(query.order_by(samples.c.step))]

    def checks(self, run: Run, *, include_superseded: bool = False) -> list[CheckRow]:
        """The checks of the run's invariants, in the order in which they were recorded."""
        return self._check_rows(_joined(checks, run, include_superseded))

    def checks_of(self, attempt_ids: Sequence[int]) -> list[CheckRow]:
        """The checks that these attempts recorded, in their order."""
        return self._check_rows(_measured(checks).where(checks.c.attempt_id.in_(attempt_ids)))

    def _check_rows(self, query: Select[Any]) -> list[CheckRow]:
        query = query.order_by(checks.c.id).add_columns(trials.c.task.label("invariant"), trials.c.arm)
        query = query.join(attempts, attempts.c.id == checks.c.attempt_id)
        query = query.join(trials, trials.c.id == attempts.c.trial_id)
        return [CheckRow(**row) for row in self._all(query)]

    def sentences(self, run: Run) -> dict[int, Sentences]:
        """The sentences that each attempt of the run wrote, by attempt, without superseded attempts.

        Equal sentences are the same object.
        """
        from harness.scoring.sentences import Sentences  # it imports numpy, which most queries do not need

        links = self._all(_joined(attempt_sentences, run, include_superseded=False))
        ids = {row["content_id"] for row in links}
        query = select(sentences).where(sentences.c.content_id.in_(sorted(ids)))
        by_id = {row["content_id"]: Sentences.unpacked(row["body"]) for row in self._all(query)}
        return {row["trial_id"]: by_id[row["content_id"]] for row in links}

    def telemetry(self, attempt_ids: Iterable[int]) -> Iterator[TelemetryRow]:
        """The telemetry of each attempt, in the order in which it was recorded."""
        names = [column.name for column in telemetry.columns if column.name not in ("id", "attempt_id")]
        for rows in self.telemetry_pieces(attempt_ids, names):
            for row in rows:
                yield TelemetryRow(trial_id=row[0], **dict(zip(names, row[2:], strict=True)))

    def chain(self, run: Run) -> Chain:
        """The chain of the run, compared with what the store holds now. It reads everything that the run
        recorded, superseded attempts included.
        """
        return checked_chain(self._engine, run.id)

    def wrong_ids(self, run: Run) -> list[str]:
        """The stored ids of trials that do not follow from their specifications by the rules of today or the
        first version. Another version of the code may have had other defaults and so other ids.
        """
        query = select(trials.c.spec_id, trials.c.spec_json).where(trials.c.run_id == run.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(trials.c.id), execution_options=_IN_PIECES)
            return [known for known, text in rows if known not in (read_id(text), first_id(text))]

    def artifact(self, kind: Literal["checkpoint", "report"], content_id: str) -> Artifact | None:
        """The newest file with this content id, whichever run produced it."""
        query = select(artifacts).where(artifacts.c.kind == kind, artifacts.c.content_id == content_id)
        rows = self._all(query)
        return Artifact(**rows[0]) if rows else None

    def verdicts(self, run: Run) -> list[VerdictRow]:
        """The last recorded verdicts on the run's claims, in their order, or an empty list."""
        query = select(*_VERDICT_COLUMNS).where(verdicts.c.run_id == run.id).order_by(verdicts.c.place)
        return [VerdictRow(**row) for row in self._all(query)]

    def calibration(self, environment_digest: str, *, before: Session | None = None) -> CalibrationRow | None:
        """The newest calibration of an environment, or the newest that was made before a session began."""
        columns = [column for column in calibrations.columns if column.name not in ("id", "after_session")]
        query = select(*columns).where(calibrations.c.environment_digest == environment_digest)
        if before is not None:
            query = query.where(calibrations.c.after_session < before.id)
        rows = self._all(query.order_by(calibrations.c.id.desc()).limit(1))
        return CalibrationRow(**rows[0]) if rows else None

    @tried_again
    def _all(self, query: Select[Any]) -> Sequence[RowMapping]:
        with reading(self._engine) as connection:
            return connection.execute(query).mappings().all()


def newest_run(connection: Connection, identity: Identity) -> Run | None:
    """The newest run with exactly this identity."""
    query = _RUN.where(runs.c.identity_digest == identity.digest).order_by(runs.c.ordinal.desc())
    row = connection.execute(query.limit(1)).mappings().first()
    return Run(**row) if row else None


def _ids(stored_id: str, spec_json: str) -> tuple[str, str]:
    """The ids of a trial by the rules of today, and by those of the first version."""
    return current_id(spec_json, stored_id), first_id(spec_json)


def _with_current_id(row: RowMapping) -> dict[str, Any]:
    """The row with the id that the trial has by the rules of today: older code may have stored another."""
    return {**row, "spec_id": current_id(row["spec_json"], row["spec_id"])}


def _belongs_to(run: Run, include_superseded: bool) -> ColumnElement[bool]:  # noqa: FBT001
    in_run = trials.c.run_id == run.id
    return in_run if include_superseded else in_run & (attempts.c.state != "superseded")


def _joined(table: Table, run: Run, include_superseded: bool) -> Select[Any]:  # noqa: FBT001
    """A query for the rows of a table with measurements. `trial_id` is the attempt's id, as in TrialRow."""
    in_run = (
        select(attempts.c.id)
        .join(trials, trials.c.id == attempts.c.trial_id)
        .where(_belongs_to(run, include_superseded))
    )
    # Without a join, SQLite reads samples in the order of their key and sorts nothing.
    return _measured(table).where(table.c.attempt_id.in_(in_run))


def _measured(table: Table) -> Select[Any]:
    columns = [column for column in table.columns if column.name not in ("id", "attempt_id")]
    return select(table.c.attempt_id.label("trial_id"), *columns)

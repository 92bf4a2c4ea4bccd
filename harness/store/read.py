"""Questions to the store.

None of them writes, so a viewer never disturbs a driver for longer than one query.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Engine, RowMapping, Select, Table, func, select
from sqlalchemy.sql.elements import ColumnElement

from harness.store.engine import reading
from harness.store.rows import (
    COUNTED,
    Artifact,
    CalibrationRow,
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
from harness.study.planning.results import Result, result_values
from harness.trial.spec import current_id

if TYPE_CHECKING:
    from harness.scoring.sentences import Sentences

_WHAT = [column for column in trials.columns if column.name not in ("id", "run_id")]
_TRIED = [column for column in attempts.columns if column.name not in ("trial_id", "number")]
_JUDGED = [column for column in verdicts.columns if column.name not in ("run_id", "place")]
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


class Reader:
    """The reading half of the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find_run(self, identity: Identity) -> Run | None:
        """The newest run of exactly that identity."""
        query = _RUN.where(runs.c.identity_digest == identity.digest).order_by(runs.c.ordinal.desc())
        rows = self._all(query.limit(1))
        return Run(**rows[0]) if rows else None

    def runs(self, study: str | None = None) -> list[Run]:
        """All runs, or those of one study, the oldest first; runs with a planted bug are among them."""
        query = _RUN.order_by(runs.c.created_at, runs.c.ordinal)
        if study is not None:
            query = query.where(studies.c.name == study)
        return [Run(**row) for row in self._all(query)]

    def sessions(self, run: Run) -> list[Session]:
        """The driver's invocations, the oldest first."""
        query = select(sessions).where(sessions.c.run_id == run.id).order_by(sessions.c.id)
        return [Session(**row) for row in self._all(query)]

    def planned(self, run: Run) -> list[PlannedTrial]:
        """Every trial of the run's plan, in the plan's order, tried or not."""
        tried = attempts.alias()
        of_trial = tried.c.trial_id == trials.c.id
        newest = select(func.max(tried.c.id)).where(of_trial).scalar_subquery()
        count = select(func.count()).where(of_trial).scalar_subquery().label("attempts")
        state = func.coalesce(attempts.c.state, "planned").label("state")
        query = select(*_WHAT, state, count).outerjoin_from(trials, attempts, attempts.c.id == newest)
        query = query.where(trials.c.run_id == run.id).order_by(trials.c.id)
        return [PlannedTrial(**_with_current_id(row)) for row in self._all(query)]

    def trials(self, run: Run, *, include_superseded: bool = False) -> list[TrialRow]:
        """Attempts in the order in which they were begun, failed ones and any now running among them."""
        query = select(trials.c.run_id, *_WHAT, *_TRIED, attempts.c.number.label("attempt"))
        query = query.join(attempts, attempts.c.trial_id == trials.c.id)
        query = query.where(_of(run, include_superseded)).order_by(attempts.c.id)
        return [TrialRow(**_with_current_id(row)) for row in self._all(query)]

    def results(self, run: Run, metrics: Collection[str] = ()) -> dict[str, Result]:
        """What came out of each trial that has finished, by its content id: the value of each of the metrics
        that it has.
        """
        rows = [row for row in self.trials(run) if row.state in COUNTED]
        values: dict[int, dict[str, list[float]]] = {row.id: {} for row in rows}
        if metrics:
            query = _joined(samples, run, include_superseded=False).where(samples.c.metric.in_(metrics))
            for row in self._all(query.order_by(*samples.primary_key.columns)):
                if row["trial_id"] in values:
                    values[row["trial_id"]].setdefault(row["metric"], []).append(row["value"])
        return {
            row.spec_id: Result(
                spec_id=row.spec_id,
                session=row.session_id,
                diverged=row.state == "diverged",
                values=result_values(values[row.id], metrics, diverged=row.state == "diverged"),
            )
            for row in rows
        }

    def samples(self, run: Run, *, include_superseded: bool = False) -> list[SampleRow]:
        """Every raw value of the run's attempts, failed ones too, by attempt, metric and step.

        A list rather than a stream: an open query would keep writers of the database waiting.
        """
        query = _joined(samples, run, include_superseded)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(*samples.primary_key.columns))
            return list(map(SampleRow._make, rows))

    def checks(self, run: Run, *, include_superseded: bool = False) -> list[CheckRow]:
        """The comparisons of the run's invariants, in the order in which they were recorded."""
        query = _joined(checks, run, include_superseded).order_by(checks.c.id)
        query = query.add_columns(trials.c.task.label("invariant"), trials.c.arm)
        query = query.join(attempts, attempts.c.id == checks.c.attempt_id)
        query = query.join(trials, trials.c.id == attempts.c.trial_id)
        return [CheckRow(**row) for row in self._all(query)]

    def sentences(self, run: Run) -> dict[int, Sentences]:
        """What the run's attempts wrote, by attempt; those that were set aside are left out.

        Equal ones are one object.
        """
        from harness.scoring.sentences import Sentences  # numpy, which most questions do without

        links = self._all(_joined(attempt_sentences, run, include_superseded=False))
        wanted = {row["content_id"] for row in links}
        query = select(sentences).where(sentences.c.content_id.in_(sorted(wanted)))
        found = {row["content_id"]: Sentences.unpacked(row["body"]) for row in self._all(query)}
        return {row["trial_id"]: found[row["content_id"]] for row in links}

    def telemetry(self, run: Run, *, include_superseded: bool = False) -> list[TelemetryRow]:
        """What was seen of the run's attempts from outside, in the order in which it was recorded."""
        query = _joined(telemetry, run, include_superseded)
        return [TelemetryRow(**row) for row in self._all(query.order_by(telemetry.c.id))]

    def artifact(self, kind: Literal["checkpoint", "report"], content_id: str) -> Artifact | None:
        """The newest file made from that content, whichever run made it."""
        query = select(artifacts).where(artifacts.c.kind == kind, artifacts.c.content_id == content_id)
        rows = self._all(query)
        return Artifact(**rows[0]) if rows else None

    def verdicts(self, run: Run) -> list[VerdictRow]:
        """The last judgement of the run's claims, in the order in which it was recorded; empty before the
        first.
        """
        query = select(*_JUDGED).where(verdicts.c.run_id == run.id).order_by(verdicts.c.place)
        return [VerdictRow(**row) for row in self._all(query)]

    def calibration(self, environment_digest: str, *, before: str | None = None) -> CalibrationRow | None:
        """The newest of an environment, or the newest that was made before a time (as `made_at` writes it)."""
        columns = [column for column in calibrations.columns if column.name != "id"]
        query = select(*columns).where(calibrations.c.environment_digest == environment_digest)
        if before is not None:
            query = query.where(calibrations.c.made_at < before)
        rows = self._all(query.order_by(calibrations.c.made_at.desc(), calibrations.c.id.desc()).limit(1))
        return CalibrationRow(**rows[0]) if rows else None

    def _all(self, query: Select[Any]) -> Sequence[RowMapping]:
        with reading(self._engine) as connection:
            return connection.execute(query).mappings().all()


def _with_current_id(row: RowMapping) -> dict[str, Any]:
    """The row with the id that the trial has by the rules of today: older code may have stored another."""
    return {**row, "spec_id": current_id(row["spec_json"], row["spec_id"])}


def _of(run: Run, include_superseded: bool) -> ColumnElement[bool]:  # noqa: FBT001
    of_run = trials.c.run_id == run.id
    return of_run if include_superseded else of_run & (attempts.c.state != "superseded")


def _joined(table: Table, run: Run, include_superseded: bool) -> Select[Any]:  # noqa: FBT001
    """Rows of a table of what attempts measured; to those who read them, a TrialRow is an attempt."""
    columns = [column for column in table.columns if column.name not in ("id", "attempt_id")]
    of_run = (
        select(attempts.c.id)
        .join(trials, trials.c.id == attempts.c.trial_id)
        .where(_of(run, include_superseded))
    )
    # Not a join: SQLite then reads samples in the order of their key, and sorts none.
    return select(table.c.attempt_id.label("trial_id"), *columns).where(table.c.attempt_id.in_(of_run))

"""Writes results to the store, each step in one transaction: attempts, measurements, files and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from harness.errors import HarnessError
from harness.store.chain import add_links
from harness.store.database import tried_again
from harness.store.engine import reading
from harness.store.failures import TrialTakenError
from harness.store.pieces import AT_ONCE, ATTEMPTS_AT_ONCE, WIDE_AT_ONCE, in_parts
from harness.store.read import Reader
from harness.store.rows import (
    COUNTED_STATES,
    Artifact,
    AttemptState,
    CalibrationRow,
    Run,
    Session,
    VerdictRow,
    now,
)
from harness.store.tables import (
    artifacts,
    attempt_sentences,
    attempts,
    calibrations,
    checks,
    samples,
    sentences,
    sessions,
    trials,
    verdicts,
)
from harness.store.tables import telemetry as telemetry_table
from harness.store.turns import take_turns

if TYPE_CHECKING:
    from harness.scoring.sentences import Sentences
    from harness.telemetry.process_sampler import TelemetrySample
    from harness.trial.outcome import Outcome, Sample
    from harness.trial.spec import TrialSpec

SAMPLE_COLUMNS = [column.name for column in samples.columns]


class RunRecorder(Reader):
    """The part of the store that writes results.

    Every method raises StoreError if the database fails, and none leaves a part of its work behind.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        compiled = insert(samples).compile(dialect=engine.dialect, column_keys=SAMPLE_COLUMNS)
        assert compiled.positiontup == SAMPLE_COLUMNS
        self._insert_samples = compiled.string

    @tried_again
    def begin_trial(self, run: Run, session: Session, spec: TrialSpec, *, position: int) -> int:
        """Record that an attempt at a trial starts now, and return the attempt's id.

        Raises TrialTakenError if the trial is running or has finished, or if another driver that still works
        has tried it. Raises HarnessError if the run has no such trial.
        """
        with self._database.writing() as connection:
            trial_id = _id_of_trial(connection, run, spec)
            if _is_taken(connection, trial_id, session):
                raise TrialTakenError(
                    f"run {run.id}: {spec.title} cannot begin: the trial is running or has finished, or "
                    "another driver has tried it"
                )
            newest = select(func.max(attempts.c.number)).where(attempts.c.trial_id == trial_id)
            values: dict[str, Any] = {
                "trial_id": trial_id,
                "session_id": session.id,
                "number": (connection.execute(newest).scalar() or 0) + 1,
                "position": position,
                "state": "running",
                "started_at": now(),
                "outputs": {},
                "spent": {},
                "notes": {},
            }
            begun: int = connection.execute(
                insert(attempts).values(values).returning(attempts.c.id)
            ).scalar_one()
        return begun

    @tried_again
    def finish_trial(
        self,
        attempt_id: int,
        outcome: Outcome,
        *,
        seconds: float,
        telemetry: Sequence[TelemetrySample] = (),
        nvml_reason: str | None = None,
    ) -> None:
        """Record the end of an attempt with all its measurements, or nothing at all if an error occurs. The
        samples are read in pieces, and again if two of them collide.

        `nvml_reason` says why the GPU's columns of the telemetry are empty. Raises HarnessError if the
        attempt is not running or has two values of one metric at the same step.
        """
        ending = {
            "state": _state(outcome),
            "seconds": seconds,
            "outputs": outcome.outputs,
            "spent": outcome.spent,
            "notes": outcome.notes,
            "error": outcome.error,
            "traceback": outcome.traceback,
            "nvml_reason": nvml_reason,
            "cause": outcome.cause,
        }
        with self._database.writing() as connection:
            running = (attempts.c.id == attempt_id) & (attempts.c.state == "running")
            if connection.execute(update(attempts).where(running).values(ending)).rowcount != 1:
                raise HarnessError(f"attempt {attempt_id} cannot end because it is not running")
            self._add_samples(connection, attempt_id, outcome.samples)
            if outcome.checks:
                rows = [{"attempt_id": attempt_id, **asdict(check)} for check in outcome.checks]
                connection.execute(insert(checks), rows)
            if outcome.sentences is not None:
                _add_sentences(connection, attempt_id, outcome.sentences)
            for part in in_parts(telemetry, WIDE_AT_ONCE):
                rows = [{"attempt_id": attempt_id, **asdict(sample)} for sample in part]
                connection.execute(insert(telemetry_table), rows)
            add_links(connection, _run_of(connection, attempt_id), "ended", [attempt_id])

    @tried_again
    def waits_for_others(self, session: Session, others: Collection[Session], *, tries: int) -> bool:
        """Whether drivers of `others` have begun trials of the run that have not come to an end. A trial that
        was lost is tried again by the same driver, until it has made so many `tries`.
        """
        query = select(attempts.c.trial_id, attempts.c.state)
        query = query.join(trials, trials.c.id == attempts.c.trial_id)
        query = query.where(attempts.c.session_id.in_([one.id for one in others]))
        query = query.where(attempts.c.state.in_(("running", "lost")), trials.c.purpose != "lead-in")
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(trials.c.run_id == session.run_id)).all()
        lost = Counter(row.trial_id for row in rows if row.state == "lost")
        running = any(row.state == "running" for row in rows)
        return running or any(times < tries for times in lost.values())

    @tried_again
    def supersede(self, run: Run, attempt_ids: Collection[int]) -> None:
        """Supersede ended attempts: they stay in the store with their former state and never count again.

        Raises HarnessError, without any change, if an attempt does not exist, is running or is superseded.
        """
        chosen = sorted(set(attempt_ids))
        ended = select(attempts.c.id).join(trials, trials.c.id == attempts.c.trial_id)
        ended = ended.where(trials.c.run_id == run.id, attempts.c.state.not_in(("running", "superseded")))
        with self._database.writing() as connection:
            missing = set(chosen)
            for part in in_parts(chosen, ATTEMPTS_AT_ONCE):
                missing -= set(connection.execute(ended.where(attempts.c.id.in_(part))).scalars())
            if missing:
                raise HarnessError(f"run {run.id} has no ended attempts {sorted(missing)} to supersede")
            set_aside = update(attempts).values(superseded_state=attempts.c.state, state="superseded")
            for attempt_id in chosen:
                connection.execute(set_aside.where(attempts.c.id == attempt_id))
            add_links(connection, run.id, "superseded", chosen)

    @tried_again
    def record_artifact(self, artifact: Artifact) -> None:
        """Record a file. It replaces an earlier file of the same kind with the same content id."""
        same = (artifacts.c.kind == artifact.kind) & (artifacts.c.content_id == artifact.content_id)
        with self._database.writing() as connection:
            take_turns(connection)
            connection.execute(artifacts.delete().where(same))
            connection.execute(insert(artifacts).values(asdict(artifact)))

    def record_calibration(self, row: CalibrationRow) -> None:
        """Record a calibration of an environment. Earlier ones stay in the store."""
        with self._database.writing() as connection:
            last = connection.execute(select(func.max(sessions.c.id))).scalar() or 0
            connection.execute(insert(calibrations).values(**asdict(row), after_session=last))

    def record_verdicts(self, run: Run, rows: Iterable[VerdictRow]) -> None:
        """Replace all verdicts of the run by these.

        Raises HarnessError, without any change, if there are two verdicts on one claim.
        """
        judged = [{"run_id": run.id, "place": order, **asdict(row)} for order, row in enumerate(rows)]
        claim, times = Counter(row["claim"] for row in judged).most_common(1)[0] if judged else ("", 0)
        if times > 1:
            raise HarnessError(
                f"run {run.id} has {times} verdicts on the claim {claim!r}; only one is allowed"
            )
        with self._database.writing() as connection:
            take_turns(connection)
            connection.execute(verdicts.delete().where(verdicts.c.run_id == run.id))
            if judged:
                connection.execute(insert(verdicts), judged)

    def _add_samples(self, connection: Connection, attempt_id: int, measured: Collection[Sample]) -> None:
        """Insert samples with the driver of the database, which is three times as fast as SQLAlchemy."""
        for part in in_parts(measured, AT_ONCE):
            rows = [(attempt_id, metric, step, float(value)) for metric, step, value in part]
            try:
                connection.exec_driver_sql(self._insert_samples, rows)
            except IntegrityError as error:
                twice = {(metric, step) for metric, step, _ in part}
                again = ((metric, step) for metric, step, _ in measured if (metric, step) in twice)
                (metric, step), times = Counter(again).most_common(1)[0]
                raise HarnessError(
                    f"attempt {attempt_id} has {times} values of {metric!r} at step {step}"
                ) from error


def _add_sentences(connection: Connection, attempt_id: int, written: Sentences) -> None:
    """Link the attempt to its sentences, which are added if the store does not have them yet."""
    take_turns(connection)
    existing = select(sentences.c.content_id).where(sentences.c.content_id == written.content_id)
    if connection.execute(existing).scalar() is None:
        body = {"content_id": written.content_id, "body": written.packed()}
        connection.execute(insert(sentences).values(body))
    link = {"attempt_id": attempt_id, "content_id": written.content_id}
    connection.execute(insert(attempt_sentences).values(link))


def _id_of_trial(connection: Connection, run: Run, spec: TrialSpec) -> int:
    query = select(trials.c.id).where(trials.c.run_id == run.id, trials.c.spec_id == spec.id)
    trial_id: int | None = connection.execute(query).scalar()
    if trial_id is None:
        raise HarnessError(f"the plan of run {run.id} has no trial {spec.title} ({spec.id})")
    return trial_id


def _is_taken(connection: Connection, trial_id: int, session: Session) -> bool:
    """Whether no attempt at a trial may begin in this session. Who has tried it keeps it as long as its
    driver works: a trial that failed there must not run here.
    """
    works = sessions.c.ended_at.is_(None) & (sessions.c.writes >= 0) & (sessions.c.id != session.id)
    query = select(attempts.c.id).join(sessions, sessions.c.id == attempts.c.session_id)
    query = query.where(attempts.c.trial_id == trial_id, attempts.c.state != "superseded")
    query = query.where(attempts.c.state.in_(("running", *COUNTED_STATES)) | works)
    return connection.execute(query.limit(1)).first() is not None


def _run_of(connection: Connection, attempt_id: int) -> str:
    query = select(trials.c.run_id).join(attempts, attempts.c.trial_id == trials.c.id)
    run_id: str = connection.execute(query.where(attempts.c.id == attempt_id)).scalar_one()
    return run_id


def _state(outcome: Outcome) -> AttemptState:
    if outcome.status == "finished" and outcome.notes.get("diverged"):
        return "diverged"
    return outcome.status

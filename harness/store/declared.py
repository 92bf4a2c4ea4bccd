"""What was declared and judged, in the order in which it happened. Nothing here is ever replaced."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select

from harness.store.engine import reading
from harness.store.record import RunRecorder
from harness.store.rows import (
    COUNTED_STATES,
    Declaration,
    DeclaredClaim,
    JudgedClaim,
    MeasuredAttempt,
    Run,
)
from harness.store.tables import (
    attempts,
    declarations,
    declared_claims,
    judgements,
    runs,
    samples,
    studies,
    trials,
)
from harness.store.turns import take_turns

_MOST_IDS = 10_000
"""SQLite takes at most 32,766 variables in a statement."""

_NOT_JUDGED = ("id", "judged_at", "code_digest")


class DeclarationStore(RunRecorder):
    """The part of the store that remembers what was declared, and every judgement."""

    def declare_claims(self, claims: Iterable[DeclaredClaim], *, before_all: Collection[str] = ()) -> None:
        """Record the claims that the store has not seen, after its newest attempt.

        Claims whose digest is in `before_all` count as declared before every attempt.
        """
        wanted = {claim.digest: claim for claim in claims}
        query = select(declared_claims.c.digest).where(declared_claims.c.digest.in_(list(wanted)))
        with reading(self._engine) as connection:
            known = set(connection.execute(query).scalars())
        if wanted.keys() <= known:
            return
        with self._database.writing() as connection:
            take_turns(connection)
            known = set(connection.execute(query).scalars())
            last = _last_attempt(connection)
            rows = [
                asdict(replace(claim, after_attempt=0 if digest in before_all else last))
                for digest, claim in wanted.items()
                if digest not in known
            ]
            if rows:
                connection.execute(insert(declared_claims), rows)

    def declared_claims(self, digests: Iterable[str]) -> dict[str, DeclaredClaim]:
        """The first appearance of each of these claims that the store has seen, by digest."""
        query = select(declared_claims).where(declared_claims.c.digest.in_(list(digests)))
        return {row["digest"]: DeclaredClaim(**row) for row in self._all(query)}

    def finished_measurements(self, task: str) -> list[MeasuredAttempt]:
        """The attempts of all runs that finished a measurement with a task, in their order. Those that were
        superseded later are among them, because somebody could have seen their values.
        """
        ended = func.coalesce(attempts.c.superseded_state, attempts.c.state)
        query = (
            select(attempts.c.id, trials.c.spec_json, runs.c.draw, runs.c.training_draw)
            .join(trials, trials.c.id == attempts.c.trial_id)
            .join(runs, runs.c.id == trials.c.run_id)
            .where(trials.c.purpose == "measure", trials.c.task == task, ended.in_(COUNTED_STATES))
            .order_by(attempts.c.id)
        )
        with reading(self._engine) as connection:
            return [MeasuredAttempt._make(row) for row in connection.execute(query)]

    def measured(self, metric: str, attempt_ids: Sequence[int]) -> bool:
        """Whether one of these attempts has a sample of the metric, or diverged."""
        ended = func.coalesce(attempts.c.superseded_state, attempts.c.state)
        sampled = select(samples.c.attempt_id).where(
            samples.c.attempt_id == attempts.c.id, samples.c.metric == metric
        )
        one = or_(ended == "diverged", sampled.exists())
        with reading(self._engine) as connection:
            for start in range(0, len(attempt_ids), _MOST_IDS):
                ids = list(attempt_ids[start : start + _MOST_IDS])
                query = select(attempts.c.id).where(attempts.c.id.in_(ids), one).limit(1)
                if connection.execute(query).scalar() is not None:
                    return True
        return False

    def first_attempt(self, run_id: str) -> int | None:
        """The first attempt of a run, or None."""
        query = select(func.min(attempts.c.id)).join(trials, trials.c.id == attempts.c.trial_id)
        with reading(self._engine) as connection:
            first: int | None = connection.execute(query.where(trials.c.run_id == run_id)).scalar()
        return first

    def record_judgements(self, run: Run, rows: Iterable[JudgedClaim]) -> None:
        """Record judgements of the run's claims that differ from the last ones."""
        with self._database.writing() as connection:
            take_turns(connection)
            query = select(judgements).where(judgements.c.run_id == run.id).order_by(judgements.c.id)
            last = {row["claim"]: JudgedClaim(**row) for row in connection.execute(query).mappings()}
            new = [_values(row) for row in rows if _differs(row, last.get(row.claim))]
            if new:
                connection.execute(insert(judgements), new)

    def judgements(
        self, study: str, claim_digests: Iterable[str], *, until: int | None = None
    ) -> list[JudgedClaim]:
        """The judgements of the study's runs and of these claims in any run, in the order in which they were
        made, up to the judgement `until` if it is given.
        """
        of_study = select(runs.c.id).join(studies, studies.c.digest == runs.c.study_row)
        of_study = of_study.where(studies.c.name == study)
        query = select(judgements).where(
            or_(judgements.c.run_id.in_(of_study), judgements.c.claim_digest.in_(list(claim_digests)))
        )
        if until is not None:
            query = query.where(judgements.c.id <= until)
        return [JudgedClaim(**row) for row in self._all(query.order_by(judgements.c.id))]

    def record_declaration(self, declaration: Declaration) -> Declaration:
        """Record a declaration after the newest attempt of the store, and return it."""
        with self._database.writing() as connection:
            take_turns(connection)
            made = replace(declaration, after_attempt=_last_attempt(connection))
            values = {name: value for name, value in asdict(made).items() if name != "id"}
            statement = insert(declarations).values(values).returning(declarations.c.id)
            return replace(made, id=connection.execute(statement).scalar_one())

    def declarations(self, study: str, scale: str, *, until: int | None = None) -> list[Declaration]:
        """The declarations of a study at a scale, the oldest first, up to the declaration `until`."""
        query = select(declarations).where(declarations.c.study == study, declarations.c.scale == scale)
        if until is not None:
            query = query.where(declarations.c.id <= until)
        return [Declaration(**row) for row in self._all(query.order_by(declarations.c.id))]

    def next_draw(self, study: str) -> int:
        """The first set of seeds that no run of the study uses."""
        query = select(func.max(runs.c.draw)).join(studies, studies.c.digest == runs.c.study_row)
        with reading(self._engine) as connection:
            return (connection.execute(query.where(studies.c.name == study)).scalar() or 0) + 1


def _last_attempt(connection: Connection) -> int:
    return connection.execute(select(func.max(attempts.c.id))).scalar() or 0


def _values(row: JudgedClaim) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "id"}


def _differs(row: JudgedClaim, last: JudgedClaim | None) -> bool:
    def content(judged: JudgedClaim) -> dict[str, Any]:
        return {name: value for name, value in asdict(judged).items() if name not in _NOT_JUDGED}

    return last is None or content(row) != content(last)

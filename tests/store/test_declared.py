"""What was declared and judged stays, in the order in which it happened, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.store.rows import Declaration, DeclaredClaim, JudgedClaim, Run, Session
from harness.store.store import Store
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

NewSpec = Callable[[int], TrialSpec]


def claim(digest: str) -> DeclaredClaim:
    return DeclaredClaim(
        digest=digest, study="s", claim=f"claim {digest}", content={"form": digest}, code_digest="c"
    )


def judged(run: Run, verdict: str = "confirmed", digest: str | None = "d") -> JudgedClaim:
    return JudgedClaim(
        run_id=run.id,
        claim="it",
        claim_digest=digest,
        verdict=verdict,
        alone=verdict,
        late=False,
        complete=True,
        effect="2 ×",
        interval="1 to 3 ×",
        values_digest="v",
        code_digest="c",
    )


def finish(store: Store, run: Run, session: Session, spec: TrialSpec, *samples: Sample) -> int:
    attempt = store.begin_trial(run, session, spec, position=spec.seed)
    store.finish_trial(attempt, Outcome(status="finished", samples=samples), seconds=1.0)
    return attempt


def test_a_claim_appears_once_after_the_newest_attempt(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    store.declare_claims([claim("first")])
    attempt = finish(store, run, session, spec(0), Sample("loss", 0, 1.0))
    store.declare_claims([claim("first"), claim("second"), claim("old")], before_all={"old"})
    known = store.declared_claims(["first", "second", "old", "never"])
    assert {key: row.after_attempt for key, row in known.items()} == {"first": 0, "second": attempt, "old": 0}
    assert known["second"].content == {"form": "second"}


def test_measurements_of_superseded_attempts_could_have_been_seen(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    first = finish(store, run, session, spec(0), Sample("loss", 0, 1.0))
    second = finish(store, run, session, spec(1))
    store.begin_trial(run, session, spec(2), position=2)
    store.supersede(run, [first])
    rows = store.finished_measurements(spec(0).task)
    assert [(row.id, row.draw, row.training_draw) for row in rows] == [(first, 1, 1), (second, 1, 1)]
    assert [store.measured("loss", ids) for ids in ([first], [second], [], [second, first])] == [
        True,
        False,
        False,
        True,
    ]
    assert store.first_attempt(run.id) == first


def test_a_judgement_is_recorded_if_it_differs_from_the_last_one(store: Store, run: Run) -> None:
    for row in (judged(run), judged(run), judged(run, "refuted"), judged(run), judged(run, digest="other")):
        store.record_judgements(run, [row])
    rows = store.judgements(run.study, ())
    assert [(row.verdict, row.claim_digest) for row in rows] == [
        ("confirmed", "d"),
        ("refuted", "d"),
        ("confirmed", "d"),
        ("confirmed", "other"),
    ]
    assert store.judgements("another study", ["other"]) == rows[-1:]
    assert store.judgements(run.study, (), until=rows[1].id) == rows[:2]


def test_declarations_are_numbered(store: Store) -> None:
    made = Declaration(study="s", scale="cpu", digest="d", content={"a": [1]}, declared_at="2026")
    first, second = store.record_declaration(made), store.record_declaration(replace(made, digest="e"))
    assert store.declarations("s", "cpu") == [first, second]
    assert store.declarations("s", "cpu", until=first.id) == [first]
    assert store.declarations("s", "gpu") == []

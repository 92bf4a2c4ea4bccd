"""Sentences in the store are read back as written, are stored once, and count with their attempt."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select

from harness.scoring.sentences import Sentences, StoredStatistics
from harness.store.engine import reading
from harness.store.rows import Run, Session
from harness.store.store import Store
from harness.store.tables import sentences as sentences_table
from harness.trial.outcome import Outcome
from harness.trial.spec import TrialSpec


def written(*outputs: str) -> Sentences:
    return Sentences(
        sources=("a", "b"),
        references=("c", "d"),
        outputs=outputs,
        unseen=(0, 2),
        scores={"ter": StoredStatistics(signature="s", values=((1, 2), (0.5, 3)))},
    )


def finish(store: Store, run: Run, session: Session, spec: TrialSpec, sentences: Sentences | None) -> int:
    begun = store.begin_trial(run, session, spec, position=0)
    store.finish_trial(begun, Outcome(status="finished", sentences=sentences), seconds=1.0)
    return begun


def test_sentences_come_back_and_equal_ones_are_kept_once(
    store: Store, run: Run, session: Session, spec: Callable[[int], TrialSpec]
) -> None:
    same, other = written("é ü", "漢字"), written("é ü", "")
    ids = [
        finish(store, run, session, spec(seed), what) for seed, what in enumerate((same, same, other, None))
    ]
    by_attempt = store.sentences(run)
    assert by_attempt == {ids[0]: same, ids[1]: same, ids[2]: other}
    assert by_attempt[ids[0]] is by_attempt[ids[1]]
    with reading(store._engine) as connection:
        assert connection.execute(select(func.count()).select_from(sentences_table)).scalar() == 2


def test_what_was_set_aside_no_longer_counts(
    store: Store, run: Run, session: Session, spec: Callable[[int], TrialSpec]
) -> None:
    first = finish(store, run, session, spec(0), written("x", "y"))
    store.supersede(run, [first])
    assert store.sentences(run) == {}
    second = finish(store, run, session, spec(0), written("x", "y"))
    assert list(store.sentences(run)) == [second]

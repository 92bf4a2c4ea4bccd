"""The chain of a run holds over everything that a driver does, and breaks when a row is edited."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from harness.invariants.base import Check
from harness.scoring.sentences import Sentences
from harness.store.chain import link_digest
from harness.store.engine import parse_location
from harness.store.rows import Chain, Run, Session
from harness.store.store import Store, open_store
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.store.test_migrate import old_database

CHECK = Check(
    case="one query",
    precision="float64",
    passed=False,
    deviation=math.nan,
    tolerance=1e-10,
    compared=64,
    skipped=0,
)
LOOK = TelemetrySample(
    t_seconds=0.1,
    rss_bytes=2**40,
    cpu_percent=None,
    threads=3,
    load=0.25,
    swap_in_bytes=0,
    swap_out_bytes=0,
    cpu_mhz=2400.5,
    gpu_throttling=("power cap",),
)
ODD = (0.5, -0.0, math.nan, math.inf, 1e-320, 3.0)


def outcome(seed: int) -> Outcome:
    """Every kind of measurement, with values that databases treat in their own ways."""
    return Outcome(
        status="finished",
        samples=tuple(
            Sample(name, step, value) for name in ("loss", "Loss") for step, value in enumerate(ODD)
        ),
        checks=(CHECK,),
        sentences=Sentences(
            sources=("a",), references=("b",), outputs=(f"ü {seed}",), unseen=(0,), scores={}
        ),
        outputs={"tokens": "ab12"},
        spent={"tokens": 64.0},
        notes={"text": "naïve \u2028"},
    )


def measure(store: Store, run: Run, session: Session, spec: TrialSpec) -> int:
    begun = store.begin_trial(run, session, spec, position=spec.seed)
    store.finish_trial(begun, outcome(spec.seed), seconds=1.25, telemetry=[LOOK, LOOK])
    return begun


def edit(location: str, *statements: str) -> None:
    engine = create_engine(parse_location(location))
    with engine.begin() as connection:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount >= 1
    engine.dispose()


def test_everything_that_a_driver_does_keeps_the_chain(
    store: Store, run: Run, session: Session, spec: Callable[[int], TrialSpec]
) -> None:
    assert store.chain(run) == Chain()
    heads = []
    first = measure(store, run, session, spec(0))
    heads.append(store.chain(run).head)
    store.supersede(run, [first])
    heads.append(store.chain(run).head)
    measure(store, run, session, spec(0))
    store.begin_trial(run, session, spec(1), position=1)
    heads.append(store.chain(run).head)  # an attempt that is running has no link
    store.close_session(session)  # and gets one when it is interrupted
    chain = store.chain(run)
    assert (chain.problems, chain.earlier) == ((), 0)
    assert list(chain.digests) == [*heads, chain.head]
    assert len(set(chain.digests)) == 4


EDITS = {
    "UPDATE samples SET value = value * 3 WHERE attempt_id = 2": "the samples of attempts changed",
    "INSERT INTO samples VALUES (2, 'loss', 6, 0.5)": "the samples of attempts changed",
    "DELETE FROM checks WHERE attempt_id = 2": "the checks of attempts changed",
    "UPDATE checks SET detail = 'fine' WHERE attempt_id = 2": "the checks of attempts changed",
    "UPDATE telemetry SET load = 0 WHERE attempt_id = 2": "the telemetry of attempts changed",
    "UPDATE attempts SET spent = '{}' WHERE id = 2": "the record of attempts changed",
    "UPDATE attempts SET position = 9 WHERE id = 2": "the record of attempts changed",
    "UPDATE trials SET spec_id = 't2-0' WHERE seed = 1": "the trial of attempts changed",
    "UPDATE sentences SET body = '1' WHERE content_id IN"
    " (SELECT content_id FROM attempt_sentences WHERE attempt_id = 2)": "the sentences of attempts changed",
}


@pytest.mark.parametrize("statement", EDITS)
def test_each_edit_is_noticed_with_its_attempt(
    location: str, new_run: Callable[..., Run], spec: Callable[[int], TrialSpec], statement: str
) -> None:
    with open_store(location) as store:
        run = new_run(store)
        session = store.open_session(run, {})
        assert [measure(store, run, session, spec(seed)) for seed in range(3)] == [1, 2, 3]
        store.close_session(session)
        edit(location, statement)
        assert store.chain(run).problems == (
            f"{EDITS[statement]}: 2 (generate dynamic new_tokens=16 seed 1 round 1)",
        )


def test_an_attempt_that_counts_again_and_one_that_was_added_are_noticed(
    location: str, store: Store, run: Run, session: Session, spec: Callable[[int], TrialSpec]
) -> None:
    first, second = (measure(store, run, session, spec(seed)) for seed in (0, 1))
    store.supersede(run, [first])
    edit(
        location, f"UPDATE attempts SET state = superseded_state, superseded_state = NULL WHERE id = {first}"
    )
    [changed] = store.chain(run).problems
    assert (
        changed
        == f"the state of attempts was changed: {first} (generate dynamic new_tokens=16 seed 0 round 1)"
    )
    added = store.begin_trial(run, session, spec(2), position=2)
    edit(location, f"UPDATE attempts SET state = 'finished' WHERE id = {added}")
    assert f"attempts have no digest: {added} (generate" in store.chain(run).problems[0]
    assert second


def test_a_link_that_is_missing_or_made_up_is_noticed(
    location: str, store: Store, run: Run, session: Session, spec: Callable[[int], TrialSpec]
) -> None:
    ids = [measure(store, run, session, spec(seed)) for seed in range(3)]
    edit(location, "DELETE FROM chain WHERE number = 1")
    missing, broken = sorted(store.chain(run).problems)
    assert missing.startswith(f"attempts have no digest: {ids[1]} (")
    assert broken == f"the chain of digests is broken at link 1 (attempt {ids[2]})"
    edit(location, "UPDATE chain SET number = 1 WHERE number = 2")
    assert broken in store.chain(run).problems


def test_the_study_the_environment_and_trials_without_attempts_are_covered(
    location: str, store: Store, run: Run
) -> None:
    edit(
        location,
        "UPDATE studies SET resolved = '{}'",
        "UPDATE environments SET facts = '{}'",
        "UPDATE trials SET arm = 'none' WHERE seed = 3",
    )
    label, study, environment = store.chain(run).problems
    assert label.startswith("trials are not labelled as their specifications say: t2-")
    assert study == "the study of the run was changed"
    assert environment == "the environment of the run was changed"


def test_a_deleted_attempt_is_noticed(
    tmp_path: Path, new_run: Callable[..., Run], spec: Callable[[int], TrialSpec]
) -> None:
    path = tmp_path / "harness.db"
    with open_store(path) as store:
        run = new_run(store)
        session = store.open_session(run, {})
        measure(store, run, session, spec(0))
        store.close_session(session)
        connection = sqlite3.connect(path)  # it does not enforce foreign keys
        connection.execute("DELETE FROM attempts")
        connection.commit()
        connection.close()
        assert store.chain(run).problems == ("attempts were deleted: 1",)


def test_attempts_of_an_earlier_version_are_counted_and_no_error(tmp_path: Path) -> None:
    path = old_database(tmp_path / "harness.db")
    with open_store(path) as store:
        [run] = store.runs()
        chain = store.chain(run)
        assert (chain.earlier, chain.problems, len(chain.digests)) == (4, (), 4)
        # and the run goes on: an old attempt can be superseded, and a new one ends with its digest
        session = store.open_session(run, {})
        old = store.trials(run)[0]
        store.supersede(run, [old.id])
        spec = TrialSpec.model_validate_json(old.spec_json)
        store.extend_plan(run, [spec])
        begun = measure(store, run, session, spec)
        chain = store.chain(run)
        assert (chain.earlier, chain.problems, len(chain.digests)) == (4, (), 6)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE samples SET value = 1 WHERE attempt_id = ?", (begun,))
    connection.commit()
    connection.close()
    with open_store(path) as store:
        assert store.chain(run).problems


def test_the_digest_of_a_link_stays_what_it_is() -> None:
    """The migration that marks earlier attempts contains a copy of this computation."""
    link = {"run_id": "a-1", "number": 0, "event": "earlier", "attempt_id": 7, "content": {}}
    assert link_digest(link, "") == "77d6588dec5c8ed1"

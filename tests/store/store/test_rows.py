"""Runs and sessions, on both databases: what they are kept with, who holds them, and what became of their
claims.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.exc import IntegrityError

from harness.errors import HarnessError, StoreError
from harness.store.rows import Artifact, CalibrationRow, Run, Session, VerdictRow
from harness.store.store import Store, open_store
from harness.store.tables import environments, runs, studies
from harness.trial.spec import TrialSpec
from tests.support.clock import JUMPS, set_clock

NewRun = Callable[..., Run]
NewSpec = Callable[[int], TrialSpec]


def test_a_run_reads_back_as_it_was_made(store: Store, run: Run) -> None:
    assert store.find_run(run.identity) == run
    assert run.environment == {"cpu": "any", "threads": 1}


def test_the_newest_run_of_an_identity_is_found_and_others_are_kept(
    store: Store, run: Run, new_run: NewRun
) -> None:
    fresh, smoke = new_run(store), new_run(store, scale="smoke")
    other = new_run(store, study="amp")
    assert fresh.id != run.id
    assert store.find_run(run.identity) == fresh
    assert store.runs("kv_cache") == [run, fresh, smoke]
    assert store.runs() == [run, fresh, smoke, other]
    assert store.runs("no such study") == []


def test_a_planted_bug_is_never_taken_for_the_study(store: Store, run: Run, new_run: NewRun) -> None:
    planted = new_run(store, plant="off-by-one")
    assert store.find_run(run.identity) == run
    assert store.find_run(planted.identity) == planted


def test_a_session_says_who_drove_and_when_it_ended(store: Store, run: Run) -> None:
    session = store.open_session(run, {"order_seed": 7})
    assert (session.pid, session.ended_at, session.provenance) == (os.getpid(), None, {"order_seed": 7})
    store.close_session(session)
    [ended] = store.sessions(run)
    assert ended.ended_at is not None
    assert dataclasses.replace(ended, ended_at=None) == session


def test_runs_share_one_row_for_one_study_and_environment(store: Store, location: str, run: Run) -> None:
    """What was written and seen is kept exactly: another comment, another row, though the identity is the
    same.
    """

    def again(source: str, environment: dict[str, object]) -> Run:
        return store.create_run(
            run.identity,
            study=run.study,
            study_json=run.study_json,
            study_source=source,
            environment=environment,
            trials=[],
        )

    same = again(run.study_source, dict(run.environment))
    other = again(run.study_source + "# why\n", {**run.environment, "nvml_reason": "no driver"})
    assert [(row.study_source, row.environment) for row in store.runs()] == [
        (made.study_source, made.environment) for made in (run, same, other)
    ]
    assert store.find_run(run.identity) == other
    engine = create_engine(
        location.replace("postgresql:", "postgresql+psycopg:")
        if "://" in location
        else f"sqlite:///{location}"
    )
    with engine.connect() as connection:
        rows = [
            connection.scalar(select(func.count()).select_from(table))
            for table in (runs, studies, environments)
        ]
    engine.dispose()
    assert rows == [3, 2, 2]


def test_a_run_is_made_with_its_whole_plan_or_not_at_all(store: Store, new_run: NewRun) -> None:
    with pytest.raises(IntegrityError):
        new_run(store, seeds=[0, 1, 1])
    assert store.runs() == []


def test_a_second_driver_of_a_run_is_turned_away_until_the_first_ends(
    store: Store, location: str, run: Run, session: Session, new_run: NewRun
) -> None:
    with open_store(location) as second:
        with pytest.raises(
            StoreError, match=rf"process {os.getpid()} on .* is already working on run {run.id} of kv_cache"
        ):
            second.open_session(run, {})
        other = second.open_session(new_run(second), {})
        store.close_session(session)
        taken = second.open_session(run, {})
        second.close_session(taken)
        second.close_session(other)
    assert [row.ended_at is None for row in store.sessions(run)] == [False, False]


def test_a_file_made_again_takes_the_place_of_the_first(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    attempt_id = store.begin_trial(run, session, spec(0), position=0)
    first = Artifact(
        kind="checkpoint", content_id="abc", sha256="11", path="a.safetensors", attempt_id=attempt_id
    )
    again = dataclasses.replace(first, sha256="22", path="b.safetensors")
    report = Artifact(kind="report", content_id="abc", sha256="33", path="a.html", run_id=run.id)
    for artifact in (first, report):
        store.record_artifact(artifact)
    assert store.artifact("checkpoint", "abc") == first
    store.record_artifact(again)
    assert store.artifact("checkpoint", "abc") == again
    assert store.artifact("report", "abc") == report
    assert store.artifact("checkpoint", "abd") is None


def test_a_file_has_one_maker(store: Store, run: Run) -> None:
    orphan = Artifact(kind="report", content_id="abc", sha256="33", path="a.html")
    with pytest.raises(IntegrityError):
        store.record_artifact(orphan)
    with pytest.raises(IntegrityError):
        store.record_artifact(dataclasses.replace(orphan, run_id=run.id, attempt_id=1))
    assert store.artifact("report", "abc") is None


def verdict(claim: str, **changes: object) -> VerdictRow:
    plain = VerdictRow(
        claim=claim,
        verdict="confirmed",
        effect=2.68,
        low=2.64,
        high=2.72,
        n=10,
        claimed=2.33,
        reason="Inside.",
        code_digest="c0de",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_verdicts_are_replaced_as_a_whole(store: Store, run: Run, new_run: NewRun) -> None:
    other = new_run(store)
    first = [verdict("speed"), verdict("same", effect=None, low=None, high=None, claimed=None)]
    store.record_verdicts(run, first)
    store.record_verdicts(other, first[:1])
    assert store.verdicts(run) == first
    second = [verdict("growth", low=-math.inf, high=math.inf, code_digest="newer"), verdict("speed", n=12)]
    store.record_verdicts(run, second)
    assert store.verdicts(run) == second
    assert store.verdicts(other) == first[:1]
    store.record_verdicts(run, [])
    assert store.verdicts(run) == []


def test_what_a_verdict_was_computed_from_comes_back_with_its_infinities(store: Store, run: Run) -> None:
    basis = {"rule": {"low": 1.5}, "members": [{"pairs": [[1, 0.25], [2, math.inf], [3, -math.inf]]}]}
    store.record_verdicts(run, [verdict("speed", basis=basis), verdict("same")])
    assert [row.basis for row in store.verdicts(run)] == [basis, None]


def test_a_figure_that_nobody_could_compute_is_none(store: Store, run: Run) -> None:
    store.record_verdicts(run, [verdict("speed", effect=math.nan)])
    assert [(row.effect, row.low) for row in store.verdicts(run)] == [(None, 2.64)]


def test_two_verdicts_on_one_claim_are_refused_and_the_old_ones_stay(store: Store, run: Run) -> None:
    old = [verdict("speed")]
    store.record_verdicts(run, old)
    with pytest.raises(HarnessError, match="2 verdicts on the claim 'same'"):
        store.record_verdicts(run, [verdict("speed"), verdict("same"), verdict("same", n=3)])
    assert store.verdicts(run) == old


@pytest.mark.parametrize("days", JUMPS)
def test_runs_are_in_the_order_in_which_they_were_created_whatever_the_clock_said(
    store: Store, new_run: NewRun, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    first = new_run(store)
    set_clock(monkeypatch, days)
    second = new_run(store)
    set_clock(monkeypatch, -days)
    third, other = new_run(store), new_run(store, study="amp")
    monkeypatch.undo()
    last = new_run(store)
    assert store.runs() == [first, second, third, other, last]
    assert store.runs("kv_cache") == [first, second, third, last]
    assert store.find_run(first.identity) == last
    assert sorted(store.runs(), key=lambda run: run.created_at) != store.runs()


@pytest.mark.parametrize("days", [0, *JUMPS])
def test_the_newest_calibration_of_an_environment_counts_and_older_ones_stay(
    store: Store, run: Run, session: Session, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    def calibrate(value: float) -> None:
        store.record_calibration(CalibrationRow(environment_digest="e", facts={"x": value}, code_digest="c"))

    def newest(before: Session | None = None) -> float | None:
        row = store.calibration("e", before=before)
        return row.facts["x"] if row else None

    set_clock(monkeypatch, days)
    calibrate(1.0)
    store.close_session(session)
    monkeypatch.undo()
    second = store.open_session(run, {})
    calibrate(2.0)
    set_clock(monkeypatch, -days)
    calibrate(3.0)
    assert store.calibration("other") is None
    assert [newest(), newest(second), newest(session)] == [3.0, 1.0, None]

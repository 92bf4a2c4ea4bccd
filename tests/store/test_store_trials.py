"""The life of runs, sessions and trials, on both databases."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable

import pytest

from harness.errors import HarnessError, StoreError
from harness.invariants.base import Check
from harness.store.rows import Checkpoint, CheckRow, Run, SampleRow, Session, TelemetryRow
from harness.store.store import Store, open_store
from harness.store.tables import checks, telemetry
from harness.study.outcome import Outcome, Sample
from harness.study.trial import TrialSpec
from harness.telemetry.host import TelemetrySample

NewRun = Callable[..., Run]
NewSpec = Callable[[int], TrialSpec]

LOOK = TelemetrySample(
    t_seconds=0.1,
    rss_bytes=3_000_000_000,
    cpu_percent=None,
    threads=2,
    load=0.5,
    swap_in_bytes=0,
    swap_out_bytes=4096,
    cpu_mhz=2400.0,
    gpu_memory_bytes=None,
    gpu_utilisation=None,
    gpu_process_bytes=None,
    gpu_temperature_c=None,
    gpu_sm_clock_mhz=None,
    gpu_throttling=None,
)
LOOK_AT_GPU = dataclasses.replace(
    LOOK,
    cpu_percent=101.5,
    gpu_memory_bytes=80 * 2**30,
    gpu_utilisation=0.75,
    gpu_process_bytes=2**30,
    gpu_temperature_c=61,
    gpu_sm_clock_mhz=1980,
    gpu_throttling=("power", "heat"),
)


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
    assert store.latest_run("kv_cache") == smoke
    assert store.runs("kv_cache") == [run, fresh, smoke]
    assert store.runs() == [run, fresh, smoke, other]
    assert store.latest_run("no such study") is None


def test_a_planted_bug_is_never_taken_for_the_study(store: Store, run: Run, new_run: NewRun) -> None:
    planted = new_run(store, plant="off-by-one")
    assert store.find_run(run.identity) == run
    assert store.latest_run("kv_cache") == run
    assert store.latest_run("kv_cache", plant="off-by-one") == planted


def test_a_session_says_who_drove_and_when_it_ended(store: Store, run: Run) -> None:
    session = store.open_session(run, {"order_seed": 7})
    assert (session.pid, session.ended_at, session.provenance) == (os.getpid(), None, {"order_seed": 7})
    store.close_session(session)
    [ended] = store.sessions(run)
    assert ended.ended_at is not None
    assert dataclasses.replace(ended, ended_at=None) == session


def test_a_finished_trial_reads_back_with_all_that_it_measured(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    check = Check(
        case="batch 2",
        precision="float64",
        passed=False,
        deviation=math.inf,
        tolerance=1e-10,
        compared=5,
        skipped=0,
        detail="first at 3",
    )
    outcome = Outcome(
        status="finished",
        samples=(Sample("loss", 1, 2.0), Sample("loss", 0, 3.0), Sample("bytes", 0, 2.0**53)),
        checks=(check,),
        outputs={"tokens": "abc"},
        spent={"tokens": 64.0},
        notes={"warmed_up": True, "worst": math.inf},
    )
    trial_id = store.begin_trial(run, session, spec(-(2**40)), position=3, attempt=2)
    store.finish_trial(
        trial_id, outcome, seconds=1.25, telemetry=[LOOK, LOOK_AT_GPU], nvml_reason="no driver"
    )
    [row] = store.trials(run)
    assert (row.status, row.seconds, row.position, row.attempt) == ("finished", 1.25, 3, 2)
    assert (row.outputs, row.spent, row.notes) == (outcome.outputs, outcome.spent, outcome.notes)
    assert (row.condition, row.nvml_reason) == ({"new_tokens": "16"}, "no driver")
    assert TrialSpec.model_validate_json(row.spec_json) == spec(-(2**40))
    assert store.finished_spec_ids(run) == {row.spec_id} == {spec(-(2**40)).id}
    assert store.samples(run) == [
        SampleRow(trial_id, "bytes", 0, 2.0**53),
        SampleRow(trial_id, "loss", 0, 3.0),
        SampleRow(trial_id, "loss", 1, 2.0),
    ]
    assert store.checks(run) == [CheckRow(trial_id=trial_id, **dataclasses.asdict(check))]
    without, with_gpu = store.telemetry(run)
    assert without == TelemetryRow(trial_id=trial_id, source="psutil", **dataclasses.asdict(LOOK))
    expected = TelemetryRow(trial_id=trial_id, source="psutil+nvml", **dataclasses.asdict(LOOK_AT_GPU))
    assert with_gpu == dataclasses.replace(expected, gpu_throttling=["power", "heat"])


def test_every_field_of_a_check_and_of_a_look_has_a_column() -> None:
    def fields(kind: type) -> set[str]:
        return {field.name for field in dataclasses.fields(kind)}

    assert fields(Check) == set(checks.columns.keys()) - {"id", "trial_id"}
    assert fields(TelemetrySample) == set(telemetry.columns.keys()) - {"id", "trial_id", "source"}


def test_a_failure_is_recorded_whatever_the_worker_said(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    trial_id = store.begin_trial(run, session, spec(0), position=0, attempt=1)
    died = Outcome(
        status="failed", samples=(Sample("loss", 0, 3.0),), error="bad \0 byte \udcff", traceback="…\n\0"
    )
    store.finish_trial(trial_id, died, seconds=0.5)
    [row] = store.trials(run)
    assert (row.status, row.error, row.traceback) == ("failed", "bad \\x00 byte \\udcff", "…\n\\x00")
    assert store.finished_spec_ids(run) == set()
    assert store.samples(run) == [SampleRow(trial_id, "loss", 0, 3.0)]


def test_a_trial_counts_once(store: Store, run: Run, session: Session, spec: NewSpec) -> None:
    first = store.begin_trial(run, session, spec(0), position=0, attempt=1)
    with pytest.raises(HarnessError, match="runs or has finished already"):
        store.begin_trial(run, session, spec(0), position=1, attempt=2)
    store.finish_trial(first, Outcome(status="finished"), seconds=1.0)
    with pytest.raises(HarnessError, match="runs or has finished already"):
        store.begin_trial(run, session, spec(0), position=1, attempt=2)
    with pytest.raises(HarnessError, match="is not running"):
        store.finish_trial(first, Outcome(status="failed"), seconds=1.0)
    assert [(row.id, row.status) for row in store.trials(run)] == [(first, "finished")]


def test_a_failed_trial_is_tried_again_and_both_attempts_stay(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    for attempt, outcome in enumerate((Outcome(status="failed"), Outcome(status="finished")), start=1):
        trial_id = store.begin_trial(run, session, spec(0), position=attempt, attempt=attempt)
        store.finish_trial(trial_id, outcome, seconds=1.0)
    assert [(row.attempt, row.status) for row in store.trials(run)] == [(1, "failed"), (2, "finished")]


def test_superseded_trials_are_kept_apart_and_may_run_again(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    old = store.begin_trial(run, session, spec(0), position=0, attempt=1)
    store.finish_trial(old, Outcome(status="finished", samples=(Sample("loss", 0, 1.0),)), seconds=1.0)
    store.supersede(run, [old])
    assert store.finished_spec_ids(run) == set()
    assert store.trials(run) == []
    assert store.samples(run) == []
    new = store.begin_trial(run, session, spec(0), position=1, attempt=2)
    store.finish_trial(new, Outcome(status="finished", samples=(Sample("loss", 0, 2.0),)), seconds=1.0)
    assert [row.value for row in store.samples(run)] == [2.0]
    assert [row.value for row in store.samples(run, include_superseded=True)] == [1.0, 2.0]
    everything = store.trials(run, include_superseded=True)
    assert [(row.id, row.status) for row in everything] == [(old, "superseded"), (new, "finished")]


def test_what_cannot_be_superseded_leaves_the_rest_as_it_was(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    ended = store.begin_trial(run, session, spec(0), position=0, attempt=1)
    store.finish_trial(ended, Outcome(status="finished"), seconds=1.0)
    running = store.begin_trial(run, session, spec(1), position=1, attempt=1)
    with pytest.raises(HarnessError, match=rf"no ended trials \[{running}\]"):
        store.supersede(run, [ended, running])
    assert [row.status for row in store.trials(run)] == ["finished", "running"]


def test_two_values_at_one_step_are_refused_and_nothing_is_kept(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    trial_id = store.begin_trial(run, session, spec(0), position=0, attempt=1)
    twice = Outcome(
        status="finished", samples=(Sample("a", 0, 1.0), Sample("loss", 5, 1.0), Sample("loss", 5, 2.0))
    )
    with pytest.raises(HarnessError, match="2 values of 'loss' at step 5"):
        store.finish_trial(trial_id, twice, seconds=1.0)
    assert store.samples(run) == []
    assert [row.status for row in store.trials(run)] == ["running"]


def test_a_second_driver_of_a_run_is_turned_away_until_the_first_ends(
    store: Store, location: str, run: Run, session: Session, new_run: NewRun
) -> None:
    with open_store(location) as second:
        with pytest.raises(
            StoreError, match=rf"{run.id} of kv_cache is being driven by process {os.getpid()} on"
        ):
            second.open_session(run, {})
        other = second.open_session(new_run(second), {})
        store.close_session(session)
        taken = second.open_session(run, {})
        second.close_session(taken)
        second.close_session(other)
    assert [row.ended_at is None for row in store.sessions(run)] == [False, False]


def test_what_was_running_when_a_session_closes_becomes_failed(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    store.begin_trial(run, session, spec(0), position=0, attempt=1)
    store.close_session(session)
    [row] = store.trials(run)
    assert (row.status, row.error) == ("failed", "interrupted: its driver ended before it did")


def test_a_checkpoint_made_again_takes_the_place_of_the_first(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    trial_id = store.begin_trial(run, session, spec(0), position=0, attempt=1)
    first = Checkpoint(
        id="abc",
        spec_json="{}",
        seed=0,
        code_digest="c0de",
        sha256="11",
        path="a.safetensors",
        trial_id=trial_id,
    )
    again = dataclasses.replace(first, sha256="22", path="b.safetensors")
    store.record_checkpoint(first)
    assert store.checkpoint("abc") == first
    store.record_checkpoint(again)
    assert store.checkpoint("abc") == again
    assert store.checkpoint("abd") is None

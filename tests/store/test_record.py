"""The life of trials and their attempts, on both databases."""

from __future__ import annotations

import dataclasses
import itertools
import math
import tracemalloc
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.invariants.base import Check
from harness.store.pieces import AT_ONCE
from harness.store.rows import AttemptState, CheckRow, Run, SampleRow, Session, TelemetryRow
from harness.store.store import Store
from harness.store.tables import checks, telemetry
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

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
    source="psutil+nvml(memory v2)",
    cpu_percent=101.5,
    gpu_memory_bytes=80 * 2**30,
    gpu_utilisation=0.75,
    gpu_process_bytes=2**30,
    gpu_temperature_c=61,
    gpu_sm_clock_mhz=1980,
    gpu_throttling=("power", "heat"),
)


def test_a_finished_trial_reads_back_with_all_that_it_measured(
    store: Store, new_run: NewRun, spec: NewSpec
) -> None:
    run = new_run(store, seeds=[-(2**40)])
    session = store.open_session(run, {})
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
    attempt_id = store.begin_trial(run, session, spec(-(2**40)), position=3)
    store.finish_trial(
        attempt_id, outcome, seconds=1.25, telemetry=[LOOK, LOOK_AT_GPU], nvml_reason="no driver"
    )
    [row] = store.trials(run)
    assert (row.state, row.seconds, row.position, row.attempt) == ("finished", 1.25, 3, 1)
    assert (row.id, row.run_id, row.session_id) == (attempt_id, run.id, session.id)
    assert (row.outputs, row.spent, row.notes) == (outcome.outputs, outcome.spent, outcome.notes)
    assert (row.condition, row.nvml_reason) == ({"new_tokens": "16"}, "no driver")
    assert TrialSpec.model_validate_json(row.spec_json) == spec(-(2**40))
    assert set(store.results(run)) == {row.spec_id} == {spec(-(2**40)).id}
    assert store.samples(run) == [
        SampleRow(attempt_id, "bytes", 0, 2.0**53),
        SampleRow(attempt_id, "loss", 0, 3.0),
        SampleRow(attempt_id, "loss", 1, 2.0),
    ]
    assert store.checks(run) == [
        CheckRow(trial_id=attempt_id, invariant="generate", arm="dynamic", **dataclasses.asdict(check))
    ]
    without, with_gpu = store.telemetry([attempt_id])
    assert without == TelemetryRow(trial_id=attempt_id, **dataclasses.asdict(LOOK))
    expected = TelemetryRow(trial_id=attempt_id, **dataclasses.asdict(LOOK_AT_GPU))
    assert with_gpu == dataclasses.replace(expected, gpu_throttling=["power", "heat"])


def test_every_field_of_a_check_and_of_a_look_has_a_column() -> None:
    def fields(kind: type) -> set[str]:
        return {field.name for field in dataclasses.fields(kind)}

    assert fields(Check) == set(checks.columns.keys()) - {"id", "attempt_id"}
    assert fields(TelemetrySample) == set(telemetry.columns.keys()) - {"id", "attempt_id"}


def test_a_failure_is_recorded_whatever_the_worker_said(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    attempt_id = store.begin_trial(run, session, spec(0), position=0)
    died = Outcome(
        status="lost",
        samples=(Sample("loss", 0, 3.0),),
        error="bad \0 byte \udcff",
        traceback="…\n\0 https://me:CANARY@host",
    )
    store.finish_trial(attempt_id, died, seconds=0.5)
    [row] = store.trials(run)
    assert (row.state, row.error, row.traceback) == (
        "lost",
        "bad \\x00 byte \\udcff",
        "…\n\\x00 https://***@host",
    )
    assert set(store.results(run)) == set()
    assert store.samples(run) == [SampleRow(attempt_id, "loss", 0, 3.0)]


def test_a_trial_counts_once(store: Store, run: Run, session: Session, spec: NewSpec) -> None:
    first = store.begin_trial(run, session, spec(0), position=0)
    with pytest.raises(HarnessError, match="is running or has finished"):
        store.begin_trial(run, session, spec(0), position=1)
    store.finish_trial(first, Outcome(status="finished"), seconds=1.0)
    with pytest.raises(HarnessError, match="is running or has finished"):
        store.begin_trial(run, session, spec(0), position=1)
    with pytest.raises(HarnessError, match="is not running"):
        store.finish_trial(first, Outcome(status="failed"), seconds=1.0)
    assert [(row.id, row.status) for row in store.trials(run)] == [(first, "finished")]


def test_a_failed_trial_is_tried_again_and_both_attempts_stay(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    outcomes = [Outcome(status=status) for status in ("lost", "failed", "finished")]
    for attempt, outcome in enumerate(outcomes, start=1):
        attempt_id = store.begin_trial(run, session, spec(0), position=attempt)
        store.finish_trial(attempt_id, outcome, seconds=1.0)
    assert [(row.attempt, row.state, row.status) for row in store.trials(run)] == [
        (1, "lost", "failed"),
        (2, "failed", "failed"),
        (3, "finished", "finished"),
    ]


def test_a_trial_that_was_not_planned_cannot_begin(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    with pytest.raises(HarnessError, match=rf"the plan of run .* has no trial .* \({spec(99).id}\)"):
        store.begin_trial(run, session, spec(99), position=0)
    assert store.trials(run) == []


def test_a_trial_that_diverged_stands_and_is_told_from_one_that_did_not(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    for seed, notes in enumerate(({"diverged": True}, {"diverged": False}, {})):
        begun = store.begin_trial(run, session, spec(seed), position=seed)
        store.finish_trial(begun, Outcome(status="finished", notes=notes), seconds=1.0)
    assert [row.state for row in store.trials(run)] == ["diverged", "finished", "finished"]
    assert {row.status for row in store.trials(run)} == {"finished"}
    assert set(store.results(run)) == {spec(seed).id for seed in range(3)}
    with pytest.raises(HarnessError, match="is running or has finished"):
        store.begin_trial(run, session, spec(0), position=3)


def test_the_plan_shows_what_is_missing_and_how_every_trial_stands(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    def standing() -> list[tuple[str, int]]:
        return [(trial.state, trial.attempts) for trial in store.planned(run)]

    assert [trial.spec_id for trial in store.planned(run)] == [spec(seed).id for seed in range(4)]
    assert TrialSpec.model_validate_json(store.planned(run)[2].spec_json) == spec(2)
    assert standing() == [("planned", 0)] * 4
    lost = store.begin_trial(run, session, spec(1), position=0)
    store.finish_trial(lost, Outcome(status="lost"), seconds=1.0)
    again = store.begin_trial(run, session, spec(1), position=1)
    store.finish_trial(again, Outcome(status="finished"), seconds=1.0)
    aside = store.begin_trial(run, session, spec(2), position=2)
    store.finish_trial(aside, Outcome(status="finished"), seconds=1.0)
    store.supersede(run, [aside])
    store.begin_trial(run, session, spec(3), position=3)
    assert standing() == [("planned", 0), ("finished", 2), ("superseded", 1), ("running", 1)]
    store.begin_trial(run, session, spec(2), position=4)
    assert standing()[2] == ("running", 2)


@pytest.mark.parametrize("state", ["finished", "diverged", "failed", "lost", "interrupted"])
def test_what_is_superseded_keeps_what_it_was(
    store: Store, run: Run, session: Session, spec: NewSpec, state: AttemptState
) -> None:
    begun = store.begin_trial(run, session, spec(0), position=0)
    if state == "interrupted":
        store.close_session(session)
    elif state == "diverged":
        store.finish_trial(begun, Outcome(status="finished", notes={"diverged": True}), seconds=1.0)
    else:
        store.finish_trial(begun, Outcome(status=state), seconds=1.0)  # type: ignore[arg-type]
    store.supersede(run, [begun])
    [row] = store.trials(run, include_superseded=True)
    assert (row.state, row.status, row.superseded_state) == ("superseded", "superseded", state)


def test_superseded_trials_are_kept_apart_and_may_run_again(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    old = store.begin_trial(run, session, spec(0), position=0)
    store.finish_trial(old, Outcome(status="finished", samples=(Sample("loss", 0, 1.0),)), seconds=1.0)
    store.supersede(run, [old])
    with pytest.raises(HarnessError, match=rf"no ended attempts \[{old}\]"):
        store.supersede(run, [old])
    assert set(store.results(run)) == set()
    assert store.trials(run) == []
    assert store.samples(run) == []
    new = store.begin_trial(run, session, spec(0), position=1)
    store.finish_trial(new, Outcome(status="finished", samples=(Sample("loss", 0, 2.0),)), seconds=1.0)
    assert [row.value for row in store.samples(run)] == [2.0]
    assert [row.value for row in store.samples(run, include_superseded=True)] == [1.0, 2.0]
    everything = store.trials(run, include_superseded=True)
    assert [(row.id, row.status) for row in everything] == [(old, "superseded"), (new, "finished")]


def test_what_cannot_be_superseded_leaves_the_rest_as_it_was(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    ended = store.begin_trial(run, session, spec(0), position=0)
    store.finish_trial(ended, Outcome(status="finished"), seconds=1.0)
    running = store.begin_trial(run, session, spec(1), position=1)
    with pytest.raises(HarnessError, match=rf"no ended attempts \[{running}\]"):
        store.supersede(run, [ended, running])
    assert [row.status for row in store.trials(run)] == ["finished", "running"]


def test_two_values_at_one_step_are_refused_and_nothing_is_kept(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    attempt_id = store.begin_trial(run, session, spec(0), position=0)
    twice = Outcome(
        status="finished", samples=(Sample("a", 0, 1.0), Sample("loss", 5, 1.0), Sample("loss", 5, 2.0))
    )
    with pytest.raises(HarnessError, match="2 values of 'loss' at step 5"):
        store.finish_trial(attempt_id, twice, seconds=1.0)
    assert store.samples(run) == []
    assert [row.status for row in store.trials(run)] == ["running"]


class Stream(Collection[Sample]):
    """Samples of one metric that are made as they are read, with a value at step `twice` once more at the
    end.
    """

    def __init__(self, count: int, twice: int | None = None) -> None:
        self._steps = [range(count), () if twice is None else (twice,)]

    def __len__(self) -> int:
        return sum(map(len, self._steps))

    def __contains__(self, sample: object) -> bool:
        return any(sample == one for one in self)

    def __iter__(self) -> Iterator[Sample]:
        return (Sample("loss", step, step / 7) for step in itertools.chain(*self._steps))


def stream(count: int, twice: int | None = None) -> Any:
    return Stream(count, twice)


def test_two_values_at_one_step_are_refused_however_far_apart_they_are(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    attempt_id = store.begin_trial(run, session, spec(0), position=0)
    with pytest.raises(HarnessError, match="has 2 values of 'loss' at step 3"):
        store.finish_trial(
            attempt_id, Outcome(status="finished", samples=stream(2 * AT_ONCE, twice=3)), seconds=1.0
        )
    assert store.samples(run) == []


def finishing_peak(
    store: Store, run: Run, session: Session, spec: TrialSpec, count: int, looks: int = 0
) -> int:
    """The most memory, in bytes, that Python allocates while a trial with so many samples, and so many looks
    at its process, is recorded and its digests are made.
    """
    attempt_id = store.begin_trial(run, session, spec, position=spec.seed)
    outcome, telemetry = Outcome(status="finished", samples=stream(count)), [LOOK] * looks
    tracemalloc.start()
    try:
        store.finish_trial(attempt_id, outcome, seconds=1.0, telemetry=telemetry)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_memory_of_a_driver_does_not_grow_with_what_a_trial_recorded(
    store: Store, run: Run, session: Session, spec: NewSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("content.AT_ONCE", "pieces.AT_ONCE", "record.AT_ONCE"):
        monkeypatch.setattr(f"harness.store.{name}", 2000)
    for name in ("content.WIDE_AT_ONCE", "record.WIDE_AT_ONCE"):
        monkeypatch.setattr(f"harness.store.{name}", 100)
    finishing_peak(store, run, session, spec(0), 4000, 200)  # the first one fills caches
    few = finishing_peak(store, run, session, spec(1), 4000, 200)
    assert finishing_peak(store, run, session, spec(2), 16000, 200) < 1.2 * few
    assert finishing_peak(store, run, session, spec(3), 4000, 800) < 1.2 * few
    assert store.chain(run).problems == ()


@pytest.mark.slow
def test_two_million_samples_of_a_trial_need_no_more_memory_than_forty_thousand(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    few = finishing_peak(store, run, session, spec(0), 40_000)
    assert finishing_peak(store, run, session, spec(1), 2_000_000) < 1.2 * few
    assert store.chain(run).problems == ()


def test_what_was_running_when_a_session_closes_becomes_interrupted(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    store.begin_trial(run, session, spec(0), position=0)
    store.close_session(session)
    [row] = store.trials(run)
    assert (row.state, row.status) == ("interrupted", "failed")
    assert row.error == "interrupted: the driver ended first"


def test_results_are_one_value_a_metric_of_the_trials_that_count(
    store: Store, run: Run, session: Session, spec: NewSpec
) -> None:
    """The median of times, the last loss; NaN stays, what diverged has lost, failed attempts say nothing."""
    speed, loss = "decode_tokens_per_second", "validation_loss"
    measured = [
        Outcome(
            status="finished",
            samples=(
                Sample(speed, 0, 3.0),
                Sample(speed, 1, 1.0),
                Sample(loss, 9, 2.0),
                Sample(loss, 1, 5.0),
            ),
        ),
        Outcome(status="finished", samples=(Sample(speed, 0, math.nan), Sample(speed, 1, 1.0))),
        Outcome(status="finished", samples=(Sample(loss, 0, 4.0),), notes={"diverged": True}),
        Outcome(status="failed", samples=(Sample(speed, 0, 1.0),)),
    ]
    for seed, outcome in enumerate(measured):
        begun = store.begin_trial(run, session, spec(seed), position=seed)
        store.finish_trial(begun, outcome, seconds=1.0)
    results = store.results(run, {speed, loss})
    assert set(results) == {spec(seed).id for seed in range(3)}
    assert results[spec(0).id].values == {speed: 2.0, loss: 2.0}
    assert math.isnan(results[spec(1).id].values[speed])
    assert (results[spec(2).id].diverged, results[spec(2).id].values) == (True, {loss: math.inf})
    assert store.results(run)[spec(0).id].values == {}
    assert {result.session for result in results.values()} == {session.id}


def test_a_plan_grows_by_what_it_does_not_hold_yet(store: Store, run: Run, spec: NewSpec) -> None:
    store.extend_plan(run, [spec(2), spec(9), spec(3), spec(7)])
    store.extend_plan(run, [])
    assert [trial.spec_id for trial in store.planned(run)] == [spec(n).id for n in (0, 1, 2, 3, 9, 7)]

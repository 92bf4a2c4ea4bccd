"""Studies that leave something open: the driver asks on until nothing is left, and an interruption changes no
decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.machine.environment import environment
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.run.programme import StudyProgramme
from harness.statistics import rounds_with_losses
from harness.store.rows import Run
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import longest_plan, plan
from harness.study.planning.resolved import deciding_metrics, resolve
from harness.study.planning.results import lost_measurements
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.end_to_end.in_process import Broken, Notes, Scripted, obedient
from tests.support.tiny_study import LOSS, SPEED, loaded, lr, tuned_study

HERE = environment()
BEST = {"clip=1.0": 1e-4, "clip=0.5": 1e-2, "clip=0.25": 1e-3, "clip=2.0": 1e-2}


def value(spec: TrialSpec) -> tuple[str, float]:
    if spec.task == "train":
        return LOSS, 2.0 + abs(math.log10(lr(spec) / BEST[spec.arm])) + 0.01 * (spec.seed % 10)
    wobble = 0.2 if spec.arm == "cache=static" else 0.01
    return SPEED, 100.0 * math.exp(wobble * (-1) ** spec.round)


def outcome(job: Job) -> Outcome:
    if job.spec.purpose == "train":
        return obedient(job)
    name, measured = value(job.spec)
    return Outcome(status="finished", samples=(Sample(name, 0, measured),))


def drive(
    study: LoadedStudy, folder: Path, decide: Callable[[Job], Outcome], *, retry_failed: bool = False
) -> tuple[Run, Scripted, Notes]:
    backend, notes = Scripted(decide), Notes()
    setting = Setting(
        results=folder, environment=HERE, code="c0de", corpora=("c",), retry_failed=retry_failed
    )
    with open_store(folder / "harness.db") as store:
        run = Driver(StudyProgramme(study), setting, store=store, backend=backend, listener=notes).run()
    return run, backend, notes


def breaking_off(after: int) -> Callable[[Job], Outcome]:
    left = after

    def decide(job: Job) -> Outcome:
        nonlocal left
        left -= 1
        if left < 0:
            raise Broken
        return outcome(job)

    return decide


def closed(store: Store, study: LoadedStudy) -> LoadedStudy:
    return resolve(study, store.results(store.runs()[-1], deciding_metrics(study.study)))


def tuned(folder: Path) -> LoadedStudy:
    return tuned_study(folder, ("1e-2]", "1e-2]\n    finalists: 3"))


def sequential(folder: Path) -> LoadedStudy:
    """What is open is how many rounds there are, of three arms at one condition."""
    fixed = ("design: {seeds: 1, rounds: 10}", "design: {rounds: 15, until: {width: 0.1}}")
    unchecked = ("  same: {source: here, says: Nothing changes., holds: cache-parity}\n", "")
    grows = (
        "{source: here, says: The gain grows., level: {cache: dynamic}, trend: increasing, over: new_tokens}"
    )
    one_condition = (("[8, 16, 32]", "[32]"), (f"  grows: {grows}\n", ""))
    return loaded(folder, fixed, unchecked, *one_condition, ("[cache-parity, cache-bytes]", "[cache-bytes]"))


def test_tuning_first_then_every_finalist_at_its_own_best(tmp_path: Path) -> None:
    study = tuned(tmp_path)
    run, backend, notes = drive(study, tmp_path, outcome)
    purposes = [job.spec.purpose for job in backend.jobs]
    assert purposes == ["tune"] * 12 + ["measure"] * 21
    assert notes.begun == [(33, 0)]
    measured = {(job.spec.arm, lr(job.spec)) for job in backend.jobs if job.spec.purpose == "measure"}
    assert measured == {(arm, BEST[arm]) for arm in ("clip=1.0", "clip=0.5", "clip=0.25")}
    with open_store(tmp_path / "harness.db") as store:
        assert {row.purpose for row in store.planned(run)} == {"tune", "measure"}
        assert [row.state for row in store.planned(run)] == ["finished"] * 33
        assert [row.spec_id for row in store.planned(run)] == [job.spec.id for job in backend.jobs]
    assert drive(study, tmp_path, outcome)[1].asked == []


def test_a_tuning_that_is_not_whole_ends_the_run_with_a_reason_and_goes_on_later(tmp_path: Path) -> None:
    study = tuned(tmp_path)

    def trouble(job: Job) -> Outcome:
        bad = (job.spec.arm, lr(job.spec)) == ("clip=2.0", 1e-2)
        return Outcome(status="failed", error="trouble") if bad else outcome(job)

    _, backend, notes = drive(study, tmp_path, trouble)
    assert [job.spec.purpose for job in backend.jobs] == ["tune"] * 12
    assert notes.notes == ["some trials of the tuning did not finish; cannot continue"]
    assert drive(study, tmp_path, outcome)[1].jobs == []
    _, backend, notes = drive(study, tmp_path, outcome, retry_failed=True)
    assert [job.spec.purpose for job in backend.jobs] == ["tune"] + ["measure"] * 21
    assert notes.notes == []


def test_rounds_go_on_until_every_interval_is_narrow(tmp_path: Path) -> None:
    """Alternating rounds of ± 20 % never get there: the most that are allowed; of ± 1 % the fewest are
    enough.
    """
    study = sequential(tmp_path)

    def calm(job: Job) -> Outcome:
        return (
            obedient(job)
            if job.spec.purpose == "train"
            else Outcome(status="finished", samples=(Sample(SPEED, 0, 1.0),))
        )

    for decide, rounds in ((outcome, 15), (calm, 10)):
        folder = tmp_path / str(rounds)
        folder.mkdir()
        _, backend, _ = drive(study, folder, decide)
        assert [job.spec.round for job in backend.jobs if job.spec.purpose == "measure"][-1] == rounds
        with open_store(folder / "harness.db") as store:
            assert closed(store, study).study.design.rounds == rounds
        assert drive(study, folder, decide)[1].asked == []


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(breaks=st.lists(st.integers(0, 30), max_size=4), kind=st.sampled_from([tuned, sequential]))
def test_however_often_it_is_broken_off_the_same_is_decided(
    tmp_path_factory: pytest.TempPathFactory, breaks: list[int], kind: Callable[[Path], LoadedStudy]
) -> None:
    folder, undisturbed = tmp_path_factory.mktemp("broken"), tmp_path_factory.mktemp("whole")
    study = kind(folder)
    for after in breaks:
        try:
            drive(study, folder, breaking_off(after))
        except Broken:
            continue
    drive(study, folder, outcome)
    drive(study, undisturbed, outcome)
    stories, lost_rounds = [], []
    for results in (folder, undisturbed):
        with open_store(results / "harness.db") as store:
            run = store.runs()[-1]
            decided = closed(store, study)
            stories.append(
                (
                    decided.tuned,
                    decided.study.design,
                    [row.spec_id for row in store.planned(run)],
                    set(store.results(run)),
                )
            )
            lost_rounds.append(len(set(lost_measurements(store.results(run, {SPEED})).values())))
            sessions = {(row.round, row.seed): set[int]() for row in store.trials(run) if row.round}
            for row in store.trials(run):
                if row.round and row.status == "finished":
                    sessions[row.round, row.seed].add(row.session_id)
            # the values of trainings do not depend on when they were made
            assert kind is tuned or all(len(seen) == 1 for seen in sessions.values())
    if lost_rounds == [0, 0]:
        assert stories[0] == stories[1]
    else:  # a round that was begun is not run again, and at least two more replace each
        assert kind is sequential
        rounds = [story[1].rounds for story in stories]
        assert rounds == [rounds_with_losses(15, lost_rounds[0]), 15]
        assert set(stories[1][2]) <= set(stories[0][2])
    missing = len(stories[0][2]) - len(stories[0][3])
    assert lost_rounds[0] <= missing <= lost_rounds[0] * len(study.arms)
    assert len(stories[0][3]) > len(plan(study).known[0].trials)
    assert len(stories[1][2]) <= len(longest_plan(study).trials)

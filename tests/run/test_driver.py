"""What the driver asks of a backend: order, threads, attempts, and what it asks for again after an
interruption.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.machine.environment import Environment, environment, usable_cores
from harness.run import lease
from harness.run.checkpoints import Checkpoints
from harness.run.driver import Driver
from harness.run.identity import Setting, check_plant, identity
from harness.run.job import Job, TrialLimits
from harness.run.programme import StudyProgramme
from harness.run.resources import guessed_seconds
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.training.checkpoint import WEIGHTS, state_path, write_state_file
from harness.trial.causes import Cause
from harness.trial.outcome import Outcome
from tests.end_to_end.in_process import Broken, Notes, Scripted, obedient
from tests.end_to_end.workplace import Workplace
from tests.run.scene import Decide, Scene


def failing(*, when: Callable[[Job], bool]) -> Decide:
    return lambda job: Outcome(status="failed", error="trouble") if when(job) else obedient(job)


def losing(*, when: Callable[[Job], bool]) -> Decide:
    """An outside cause ends the trials."""
    lost = Outcome(status="lost", error="the worker was killed by SIGKILL", cause=Cause.KILLED)
    return lambda job: lost if when(job) else obedient(job)


def breaking_at(where: Callable[[Job], bool], *, after: int = 0) -> Decide:
    """Breaks off at a job like that, when `after` others like it have ended."""
    left = after

    def decide(job: Job) -> Outcome:
        nonlocal left
        if where(job):
            left -= 1
            if left < 0:
                raise Broken
        return obedient(job)

    return decide


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


@pytest.fixture(scope="module")
def loaded(new_workplace: Callable[[], Workplace]) -> LoadedStudy:
    return load_study(new_workplace().study, "smoke")[0]


@pytest.fixture
def scene(tmp_path: Path, loaded: LoadedStudy, here: Environment) -> Scene:
    return Scene(tmp_path, loaded, here)


def test_order_is_that_of_the_plan_and_every_round_starts_from_fresh_processes(scene: Scene) -> None:
    _, backend, notes = scene.drive()
    expected: list[str | None] = [spec.id for spec in (*scene.plan.trainings, *scene.plan.checks)]
    for lead_in, trials in zip(scene.plan.lead_ins, scene.plan.rounds, strict=True):
        expected += [None, lead_in.id, *(spec.id for spec in trials)]
    assert [job.spec.id if job else None for job in backend.asked] == expected
    assert [job.spec.purpose for job in backend.jobs] == [
        *["train"],
        *["check"] * 4,
        *["lead-in", *["measure"] * 4] * 2,
    ]
    assert [row.position for row in scene.rows()] == list(range(15))
    assert notes.begun == [(15, 0)]


def test_a_timed_trial_leaves_a_core_to_the_driver_and_training_takes_all(scene: Scene) -> None:
    _, backend, _ = scene.drive()
    cores = usable_cores()
    assert {job.threads for job in backend.jobs if job.spec.purpose == "train"} == {cores}
    assert {job.threads for job in backend.jobs if job.spec.purpose != "train"} == {max(1, cores - 1)}


def test_threads_of_a_trial_stay_within_a_cpu_quota(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """15 threads in two cores' time take 45 times as long as two."""
    monkeypatch.setattr("harness.machine.environment.affinity_cores", lambda: 16)
    monkeypatch.setattr("harness.machine.environment.cpu_quota", lambda: 3.5)
    _, backend, _ = scene.drive()
    assert {job.threads for job in backend.jobs if job.spec.purpose == "train"} == {3}
    assert {job.threads for job in backend.jobs if job.spec.purpose != "train"} == {2}


def test_the_machine_is_held_from_the_first_training_on(scene: Scene) -> None:
    held: Counter[str] = Counter()

    def look(job: Job) -> Outcome:
        with Path("/tmp", f"{lease.NAME}.lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held[job.spec.purpose] += 1
        return obedient(job)

    scene.drive(look)
    assert held == {"train": 1, "check": 4, "measure": 8, "lead-in": 2}


def test_every_job_is_told_where_its_model_lies_and_what_is_planted(scene: Scene) -> None:
    _, backend, _ = scene.drive(plant="cache-parity/top-left-mask", gpu="GPU-1")
    folders = {tuple(job.checkpoints.values()) for job in backend.jobs}
    assert len(folders) == 1
    assert {(job.plant, job.gpu, job.device) for job in backend.jobs} == {
        ("cache-parity/top-left-mask", "GPU-1", "cuda:0")
    }


@pytest.mark.parametrize(
    ("seed", "cut", "said"),
    [(0, 0, ""), (1, 0, "belongs to another recipe: seed is 1 there but 0 now"), (0, 1, "is damaged")],
    ids=["its own", "of another seed", "truncated"],
)
def test_a_state_that_no_training_can_go_on_from_is_refused(
    scene: Scene, seed: int, cut: int, said: str
) -> None:
    """And a state is of no interest once the model is there."""
    [training] = scene.plan.trainings
    driver, checkpoints = scene.driver(), Checkpoints(scene.setting(), scene.store, Notes().note)
    path = state_path(checkpoints.folder(training))
    write_state_file(path, {"train": training.config, "seed": seed}, b"state")
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    if said:
        with pytest.raises(InputError, match=said) as caught:
            driver.check()
        assert str(path) in str(caught.value)
        assert scene.store.runs() == []
    else:
        driver.check()
    scene.drive()
    scene.driver().check()


def first_time() -> Callable[[Job], bool]:
    """Whether a trial has not been asked before."""
    tried: Counter[str] = Counter()

    def when(job: Job) -> bool:
        tried[job.spec.id] += 1
        return tried[job.spec.id] == 1

    return when


def test_a_trial_that_ends_for_an_outside_reason_is_tried_once_more(scene: Scene) -> None:
    _, backend, _ = scene.drive(losing(when=first_time()))
    assert len(backend.jobs) == 28
    assert Counter((row.attempt, row.state, row.cause) for row in scene.rows()) == {
        (1, "lost", "killed from outside"): 15,  # a lead-in is not tried again
        (2, "finished", None): 13,
    }


def test_a_trial_that_fails_by_itself_is_not_tried_again_until_somebody_asks(scene: Scene) -> None:
    """Neither in its session nor in later ones, and its round is not repeated for it."""
    bad = scene.plan.rounds[0][1].id

    def only_one(job: Job) -> bool:
        return job.spec.id == bad

    _, first, _ = scene.drive(failing(when=only_one))
    _, second, notes = scene.drive(failing(when=only_one))
    assert [job.spec.id for job in first.jobs].count(bad) == 1
    assert second.jobs == []
    assert notes.notes == [
        "1 trial is not tried again, because it failed before (trouble); --retry-failed tries it again"
    ]
    _, third, notes = scene.drive(retry_failed=True)
    assert {job.spec.id for job in third.jobs if job.spec.purpose == "measure"} == {
        spec.id for spec in scene.plan.rounds[0]
    }
    assert notes.notes == []
    assert scene.drive()[1].jobs == []


def test_a_trial_that_is_always_lost_is_tried_a_bounded_number_of_times(scene: Scene) -> None:
    bad = scene.plan.checks[0].id
    attempts = [
        [job.spec.id for job in scene.drive(losing(when=lambda job: job.spec.id == bad))[1].jobs].count(bad)
        for _ in range(5)
    ]
    assert attempts == [2, 2, 2, 0, 0]
    assert bad in {job.spec.id for job in scene.drive(retry_failed=True)[1].jobs}


@pytest.mark.parametrize(
    ("decide", "tried", "again"), [(failing, 1, 0), (losing, 2, 1)], ids=["by itself", "lost"]
)
def test_a_training_that_leaves_no_model_ends_the_run_with_a_reason(
    scene: Scene, decide: Callable[..., Decide], tried: int, again: int
) -> None:
    _, backend, notes = scene.drive(decide(when=lambda job: job.spec.purpose == "train"))
    assert [job.spec.purpose for job in backend.jobs] == ["train"] * tried
    assert notes.notes == ["training (seed 0) produced no checkpoint; cannot continue"]
    _, backend, notes = scene.drive()
    assert [job.spec.purpose for job in backend.jobs].count("train") == again
    assert (notes.notes[-1:] == ["training (seed 0) produced no checkpoint; cannot continue"]) == (not again)


def test_every_job_has_the_limits_of_the_study_or_those_that_follow_from_its_estimate(
    scene: Scene, new_workplace: Callable[[], Workplace], tmp_path: Path, here: Environment
) -> None:
    _, backend, _ = scene.drive()
    for job in backend.jobs:
        assert job.limits is not None
        assert job.limits.seconds == max(900.0, 30.0 * guessed_seconds(job.spec))
        assert 0 < job.limits.memory_bytes < psutil.virtual_memory().total
    (limited,) = load_study(
        new_workplace().study,
        "smoke",
        ("design.limits={time: 20m, memory: 2 GiB, output: 1 MiB, idle: 90s}",),
    )
    [limits] = {job.limits for job in Scene(tmp_path / "limited", limited, here).drive()[1].jobs}
    assert limits == TrialLimits(
        seconds=1200.0, memory_bytes=2**31, memory_group=True, output_bytes=2**20, idle_seconds=90.0
    )


def test_limits_belong_to_no_run(scene: Scene, new_workplace: Callable[[], Workplace]) -> None:
    """Whoever gives failed trials more time goes on with the same run."""
    settings_of_limits = ("design.limits.time=1h",)
    (limited,) = load_study(new_workplace().study, "smoke", settings_of_limits)
    assert identity(limited, scene.setting()) == identity(scene.loaded, scene.setting())


def test_a_run_that_is_done_is_not_run_again_unless_asked_afresh(scene: Scene) -> None:
    first, _, _ = scene.drive()
    again, backend, notes = scene.drive()
    fresh, backend_of_fresh, _ = scene.drive(fresh=True)
    assert (again.id, backend.asked, notes.begun) == (first.id, [], [(0, 15)])
    assert (fresh.ordinal, fresh.draw, fresh.training_draw) == (2, 2, 1)
    drawn = plan(scene.loaded.drawn(fresh.draw, fresh.training_draw))
    assert [job.spec.id for job in backend_of_fresh.jobs] == [spec.id for spec in drawn.trials[1:]]
    measured = {spec.id for trials in scene.plan.rounds for spec in trials}
    assert measured.isdisjoint(job.spec.id for job in backend_of_fresh.jobs)


@pytest.mark.parametrize(
    "change",
    [{"code": "other"}, {"corpora": ("other",)}, {"plant": "cache-parity/top-left-mask"}, {"gpu": "GPU-1"}],
)
def test_another_code_text_bug_or_device_is_another_run(
    scene: Scene, here: Environment, change: dict[str, object]
) -> None:
    first, _, _ = scene.drive()
    settings_of_change = {"code": "c0de", "corpora": ("c",), **change}
    setting = Setting(results=scene.folder, environment=here, **settings_of_change)  # type: ignore[arg-type]
    backend = Scripted(obedient)
    run = Driver(
        StudyProgramme(scene.loaded), setting, store=scene.store, backend=backend, listener=Notes()
    ).run()
    assert run.identity != first.identity
    trains_again = "gpu" not in change
    assert len(backend.jobs) == 14 + trains_again


@pytest.mark.parametrize("damage", ["truncated", "deleted", "folder deleted"])
def test_a_model_that_is_not_as_it_was_made_is_trained_again_and_nothing_else_is(
    scene: Scene, damage: str
) -> None:
    scene.drive()
    [weights] = scene.folder.glob(f"checkpoints/*/{WEIGHTS}")
    if damage == "truncated":
        weights.write_bytes(b"weig")
    else:
        weights.unlink()
    if damage == "folder deleted":
        weights.parent.rmdir()
    _, backend, notes = scene.drive()
    assert [job.spec.purpose for job in backend.jobs] == ["train"]
    [note] = notes.notes
    assert str(weights.parent) in note
    assert note.endswith("so the model is trained again")
    assert Counter(row.status for row in scene.rows(superseded=True)) == {"finished": 15, "superseded": 1}


def test_check_plant_names_the_nearest_bug(loaded: LoadedStudy) -> None:
    check_plant([loaded], "cache-parity/top-left-mask")
    for wrong in ("cache-parity/top-left-msk", "cache-parity", "/", ""):
        with pytest.raises(InputError, match="is not a planted bug of an invariant of this study"):
            check_plant([loaded], wrong)
    with pytest.raises(InputError, match="did you mean 'cache-parity/top-left-mask'"):
        check_plant([loaded], "cache-parity/top-left-msk")


@pytest.fixture(scope="module")
def one_condition(new_workplace: Callable[[], Workplace]) -> LoadedStudy:
    """Two rounds of two trials each, after a training and two checks."""
    settings = ("across.new_tokens=[8]", "claims={}", "invariants=[cache-bytes]")
    return load_study(new_workplace().study, "smoke", settings)[0]


def given_up(scene: Scene) -> set[str]:
    """The trials whose newest attempt failed by itself, or was the sixth that was lost."""
    if not scene.store.runs():
        return set()
    newest = {row.spec_id: row for row in scene.rows(superseded=True) if row.purpose != "lead-in"}
    return {
        spec_id
        for spec_id, row in newest.items()
        if row.state == "failed" or (row.state == "lost" and row.attempt >= 6)
    }


CAUSES = sorted(set(Cause) - {Cause.STOPPED})


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 12), st.dictionaries(st.integers(0, 8), st.sampled_from(CAUSES), max_size=3)
        ),
        max_size=5,
    )
)
def test_whatever_breaks_in_between_every_round_is_whole_in_one_session_at_the_end(
    tmp_path_factory: pytest.TempPathFactory,
    one_condition: LoadedStudy,
    here: Environment,
    troubles: list[tuple[int, dict[int, Cause]]],
) -> None:
    """Each trouble: break off at the n-th trial, after those trials of the plan that end with a cause. No
    trial counts twice meanwhile, and none is tried again that was given up.
    """
    scene = Scene(tmp_path_factory.mktemp("scene"), one_condition, here)
    order = [spec.id for spec in scene.plan.trials]
    assert len(order) == 9
    for last, causes in troubles:
        asked: Counter[str] = Counter()

        def decide(
            job: Job, last: int = last, causes: dict[int, Cause] = causes, asked: Counter[str] = asked
        ) -> Outcome:
            asked[job.spec.id] += 1
            if asked.total() > last:
                raise Broken
            cause = causes.get(order.index(job.spec.id))
            if cause is None:
                return obedient(job)
            return Outcome(status="lost" if cause.transient else "failed", error="trouble", cause=cause)

        hopeless = given_up(scene)
        with contextlib.suppress(Broken):
            scene.drive(decide)
        assert hopeless.isdisjoint(asked)
        for spec_id, times in asked.items():
            cause = causes.get(order.index(spec_id))
            assert times <= (2 if cause is not None and cause.transient else 1)
        assert set(Counter(row.spec_id for row in scene.rows() if row.status == "finished").values()) <= {1}
    scene.drive(retry_failed=True)
    rows = scene.rows()
    finished = Counter(row.spec_id for row in rows if row.status == "finished" and row.purpose != "lead-in")
    lead_ins = {spec.id for spec in scene.plan.lead_ins}
    assert finished == {spec_id: 1 for spec_id in order if spec_id not in lead_ins}
    for number in (1, 2):
        assert len({row.session_id for row in rows if row.round == number and row.status == "finished"}) == 1
    assert not [row for row in rows if row.status == "running"]
    assert len({row.position for row in scene.rows(superseded=True)}) == len(scene.rows(superseded=True))
    assert scene.drive()[1].asked == []


def test_an_interrupted_study_of_many_seeds_runs_again_only_the_seed_that_was_broken_off(
    tmp_path: Path, new_workplace: Callable[[], Workplace], here: Environment
) -> None:
    (seeds,) = load_study(
        new_workplace().study, "least", ("design.seeds=4", "design.rounds=1", "invariants=[]", "claims={}")
    )
    scene = Scene(tmp_path, seeds, here)
    with pytest.raises(Broken):
        scene.drive(breaking_at(lambda job: job.spec.purpose == "measure" and job.spec.seed == 2, after=1))
    _, backend, _ = scene.drive()
    assert [(job.spec.purpose, job.spec.seed) for job in backend.jobs] == [
        ("lead-in", 2),
        *[("measure", 2)] * 2,
        ("lead-in", 3),
        *[("measure", 3)] * 2,
    ]
    assert backend.asked.count(None) == 2

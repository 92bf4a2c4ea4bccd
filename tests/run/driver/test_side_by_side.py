"""A driver whose trials run side by side: the same results as one after the other, and no times."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ChangedError
from harness.machine.environment import Environment, environment
from harness.run.backends.local import LocalBackend
from harness.run.driver import Driver
from harness.run.job import Job
from harness.run.programme import StudyProgramme
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy
from harness.telemetry.nvml import NvmlReader
from harness.trial.outcome import NOT_TIMED, Outcome
from tests.end_to_end.in_process import Notes, Scripted, obedient
from tests.run.scene import Scene
from tests.support.tiny_study import tuned_study

WITHOUT_TUNING = (
    "  tune:\n    grid:\n      optimizer.lr: [1e-4, 1e-3, 1e-2]\n",
    "  exploratory: true\n",
)


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.driver.usable_cores", lambda: 4)
    monkeypatch.setattr("harness.run.resources.usable_cores", lambda: 4)


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedStudy:
    return study(tmp_path_factory.mktemp("study"), seeds=3)


def study(folder: Path, *, seeds: int) -> LoadedStudy:
    """Two arms with so many seeds."""
    arms = ("clip: [1.0, 0.5, 0.25, 2.0]", "clip: [1.0, 0.5]")
    return tuned_study(folder, WITHOUT_TUNING, arms, ("seeds: 7", f"seeds: {seeds}"))


def drive(
    scene: Scene, backend: Scripted | LocalBackend, notes: Notes | None = None
) -> tuple[list[TrialRow], list[dict[tuple[str, int], float]]]:
    """The attempts of a new driver, and what each of them recorded."""
    programme = StudyProgramme(scene.loaded)
    driver = Driver(programme, scene.setting(), store=scene.store, backend=backend, listener=notes or Notes())
    run = driver.run()
    rows = scene.store.trials(run, include_superseded=True)
    samples = scene.store.samples(run)
    return rows, [
        {(one.metric, one.step): one.value for one in samples if one.trial_id == row.id} for row in rows
    ]


def test_a_share_of_the_cores_and_no_rounds_of_their_own(
    tmp_path: Path, loaded: LoadedStudy, here: Environment
) -> None:
    backend = Scripted(obedient, slots=4)
    rows, _ = drive(Scene(tmp_path, loaded, here), backend)
    assert None not in backend.asked, "no round begins with new processes"
    assert {(job.threads, job.side_by_side) for job in backend.jobs} == {(1, True)}
    assert {row.state for row in rows} == {"finished"}
    assert len(rows) == 6


def test_with_one_slot_nothing_changes(tmp_path: Path, loaded: LoadedStudy, here: Environment) -> None:
    backend = Scripted(obedient)
    drive(Scene(tmp_path, loaded, here), backend)
    assert backend.asked.count(None) == 3
    assert {(job.threads, job.side_by_side) for job in backend.jobs} == {(3, False)}


def test_changed_code_sets_the_trials_of_the_round_aside(
    tmp_path: Path, loaded: LoadedStudy, here: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[None] = []

    def check(_: object) -> None:
        checks.append(None)
        if len(checks) == 4:
            raise ChangedError("the code that measures changed", hint="undo it")

    monkeypatch.setattr("harness.run.source_watch.SourceWatch.check", check)
    scene = Scene(tmp_path, loaded, here)
    with pytest.raises(ChangedError):
        drive(scene, Scripted(obedient, slots=4))
    rows = scene.rows(superseded=True)
    assert [row.state for row in rows if row.seed == 0] == ["finished", "finished"]
    assert {row.state for row in rows if row.seed == 1} == {"superseded"}


def test_a_trial_that_fails_does_not_stop_the_others(
    tmp_path: Path, loaded: LoadedStudy, here: Environment
) -> None:
    def failing(job: Job) -> Outcome:
        return Outcome(status="failed", error="trouble") if job.spec.seed == 1 else obedient(job)

    rows, _ = drive(Scene(tmp_path, loaded, here), Scripted(failing, slots=4))
    assert sorted(row.state for row in rows) == ["failed"] * 2 + ["finished"] * 4


def test_real_trials_give_the_same_bits_as_one_after_the_other(
    tmp_path: Path, here: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And their times are not recorded. Both ways use one thread."""
    monkeypatch.setattr("harness.run.resources.usable_cores", lambda: 2)
    monkeypatch.setattr("harness.run.driver.usable_cores", lambda: 2)
    loaded = study(tmp_path, seeds=1)
    outcomes: dict[int, dict[str, tuple[dict[str, str], dict[tuple[str, int], float]]]] = {}
    timed: dict[int, set[str]] = {}
    for slots in (1, 2):
        folder = tmp_path / str(slots)
        folder.mkdir()
        with LocalBackend(nvml=NvmlReader(), slots=slots) as backend:
            rows, samples = drive(Scene(folder, loaded, here), backend)
        assert {(row.state, NOT_TIMED in row.notes) for row in rows} == {("finished", slots == 2)}
        timed[slots] = {metric for one in samples for metric, _ in one if metric.endswith("seconds")}
        outcomes[slots] = {
            row.spec_id: (
                row.outputs,
                {key: value for key, value in one.items() if key[0] in ("loss", "validation_loss")},
            )
            for row, one in zip(rows, samples, strict=True)
        }
    assert outcomes[1] == outcomes[2]
    assert len(outcomes[1]) == 2
    assert timed[2] == set() < timed[1]

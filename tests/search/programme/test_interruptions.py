"""A search that is broken off anywhere and started again is the search that nothing disturbed."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState

from harness.errors import StoreError
from harness.search.distributions import params_of
from harness.store.store import Store, open_store
from tests.end_to_end.in_process import Broken, Scripted
from tests.search.conftest import NewScene
from tests.search.scene import Scene, broken_off
from tests.support.searched_study import POINTS, RANGES, SAMPLER, crashed

STEPS: tuple[tuple[type, str], ...] = (
    (optuna.Study, "enqueue_trial"),
    (optuna.Study, "ask"),
    (Trial, "suggest_float"),
    (Trial, "suggest_int"),
    (Store, "extend_plan"),
    (Store, "begin_trial"),
    (Scripted, "submit"),
    (Store, "finish_trial"),
    (optuna.Study, "tell"),
)
"""What happens for each point, in this order: what comes before one of them comes after the one before."""

ENQUEUED = (POINTS, "  points: 3\n  enqueue: [{optimizer.lr: 1e-2, schedule.warmup: 0}]\n")


def in_sessions(scene: Scene, owner: type, name: str, number: int) -> bool:
    """Search until a call breaks it off, and again to the end. Whether there was such a call."""
    with broken_off(owner, name, number) as calls:
        try:
            scene.session()
        except Broken:
            assert calls[name] == number
        else:
            return False
    scene.session()
    return True


def check_nothing_is_twice(scene: Scene, points: int) -> None:
    """Each point has one trial that counts, and Optuna knows each of them once."""
    counted = Counter(row.spec_id for row in scene.rows if row.status == "finished")
    assert (len(counted), set(counted.values())) == (points, {1})
    assert not [row for row in scene.rows if row.state == "running"]
    complete = [trial for trial in scene.trials(TrialState.COMPLETE) if "repeats" not in trial.user_attrs]
    space = scene.search.space
    assert [trial.params for trial in complete] == [
        params_of(space, space.read(point.names)) for point in scene.points
    ]
    assert scene.trials(TrialState.RUNNING, TrialState.WAITING) == []


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_search_that_was_broken_off_asks_the_same_points_in_the_same_order(
    new_scene: NewScene, owner: type, name: str
) -> None:
    """At every single call. Of three points, the last one is chosen by a model of the others."""
    scene = new_scene(ENQUEUED)
    scene.session()
    undisturbed = scene.asked
    number = 1
    while in_sessions(again := scene.with_code(f"{name} {number}"), owner, name, number):
        assert again.asked == undisturbed
        check_nothing_is_twice(again, 3)
        number += 1
    assert number > 1


def test_a_search_that_is_broken_off_again_and_again_comes_to_its_end(new_scene: NewScene) -> None:
    scene = new_scene(ENQUEUED)
    undisturbed = scene.with_code("undisturbed")
    undisturbed.session(6)
    for owner, name in (*STEPS, *reversed(STEPS)):
        with broken_off(owner, name, 2), contextlib.suppress(Broken):
            scene.session(6)
    scene.session(6)
    assert scene.asked == undisturbed.asked
    check_nothing_is_twice(scene, 6)


def test_a_point_that_was_broken_off_before_it_was_chosen_is_told_to_have_failed(scene: Scene) -> None:
    with broken_off(Trial, "suggest_int", 3), pytest.raises(Broken):
        scene.session()
    [half] = scene.trials(TrialState.RUNNING)
    assert list(half.params) == ["optimizer.lr"]
    scene.session()
    assert [trial.number for trial in scene.trials(TrialState.FAIL)] == [half.number]
    assert len(scene.trials(TrialState.COMPLETE)) == 5


def test_a_trial_that_was_broken_off_is_run_again_and_counts_once(scene: Scene) -> None:
    with broken_off(Store, "finish_trial", 2), pytest.raises(Broken):
        scene.session()
    session = scene.session()
    assert [job.spec.condition for job in session.jobs] == [point.names for point in scene.points[1:]]
    assert [(row.attempt, row.state) for row in scene.rows] == [
        (1, "finished"),
        (1, "interrupted"),
        (2, "finished"),
        *[(1, "finished")] * 3,
    ]


GRID = "    optimizer.lr: {choices: [1e-3, 1e-2]}\n    schedule.warmup: {low: 0, high: 3}\n"


@pytest.mark.parametrize("kind", ["tpe", "gp", "grid", "qmc", "nsga-ii, population: 2"])
def test_tables_of_optuna_that_are_lost_are_made_again_from_the_store(new_scene: NewScene, kind: str) -> None:
    scene = new_scene(
        (RANGES, GRID if kind == "grid" else RANGES), (SAMPLER, f"  sampler: {{kind: {kind}}}\n"), ENQUEUED
    )
    undisturbed = scene.with_code("undisturbed")
    undisturbed.session(6)
    scene.session(4)
    scene.tables = InMemoryStorage()
    scene.session(6)
    assert scene.asked == undisturbed.asked
    check_nothing_is_twice(scene, 6)
    for trial in scene.trials()[:4]:
        assert trial.user_attrs["trials"] == list(scene.points[trial.number].spec_ids)


def test_a_failed_point_is_dead_in_tables_that_are_made_again(scene: Scene) -> None:
    scene.session(2)
    scene.session(4, crashed)
    scene.tables = InMemoryStorage()
    assert scene.session(4).jobs == []
    assert [trial.state for trial in scene.trials()] == [TrialState.COMPLETE] * 2 + [TrialState.FAIL] * 2


def test_a_point_that_was_running_when_the_tables_were_lost_is_run_to_its_end(new_scene: NewScene) -> None:
    scene = new_scene(ENQUEUED)
    undisturbed = scene.with_code("undisturbed")
    undisturbed.session()
    for number in (1, 2, 2):
        with broken_off(Store, "finish_trial", number), pytest.raises(Broken):
            scene.session()
        scene.tables = InMemoryStorage()
    scene.session()
    assert scene.asked == undisturbed.asked
    check_nothing_is_twice(scene, 3)


def test_a_store_that_lost_points_that_optuna_knows_is_refused(new_scene: NewScene, tmp_path: Path) -> None:
    scene = new_scene()
    scene.session(3)
    with open_store(tmp_path / "another.db") as empty:
        lost = dataclasses.replace(scene, store=empty)
        with pytest.raises(StoreError) as refused:
            lost.session()
        assert lost.rows == []
    assert str(refused.value) == (
        "Optuna's tables have point 0 of this search, and the store does not; "
        "move Optuna's tables away; they are made again from the store"
    )

"""Points that a pruner gives up: during their training, or between their seeds."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections import Counter
from pathlib import Path

import pytest
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import Trial, TrialState

from harness.run.job import Job
from harness.store.store import open_store
from harness.study.seeds import FIRST_SEARCH_SEED
from harness.trial.outcome import STOPPED, Outcome
from tests.end_to_end.in_process import Broken
from tests.search.conftest import NewScene
from tests.search.scene import Scene, broken_off
from tests.support.searched_study import POINTS, ended_at, loss_of
from tests.support.tiny_study import LOSS

LONG = (("updates: 4", "updates: 9"), ("evaluate_every: 2", "evaluate_every: 1"))
MEDIAN = (POINTS, "  points: 8\n  pruner: {kind: median, startup: 2}\n")
HYPERBAND = (POINTS, "  points: 12\n  pruner: {kind: hyperband, least: 1, reduction: 3}\n")
SEEDS = (POINTS, "  points: 5\n  seeds: 6\n  pruner: {kind: wilcoxon, p: 0.1, startup: 2}\n")


def honest(job: Job) -> Outcome:
    return ended_at(loss_of(job.spec.config), job)


def recorded(scene: Scene, number: int) -> list[int]:
    """The steps of the loss that the store has of a point."""
    [spec_id] = scene.points[number].spec_ids
    return [step for step, _ in scene.store.curve(scene.run, spec_id, LOSS)]


@pytest.fixture
def median(new_scene: NewScene) -> Scene:
    scene = new_scene(*LONG, MEDIAN)
    scene.session(decide=honest, watched=True)
    return scene


def test_a_training_that_is_worse_than_the_median_is_stopped_with_the_reason(median: Scene) -> None:
    """All trainings take the same way, so the first look says which of them are bad."""
    pruned = [point for point in median.points if point.state == "pruned"]
    assert pruned
    assert {point.reason for point in pruned} == {"stopped at step 0 by the median pruner"}
    for point in pruned:
        assert recorded(median, point.number) == [0]
        [row] = [row for row in median.rows if row.spec_id == point.spec_ids[0]]
        assert (row.state, row.error, row.notes) == (
            "interrupted",
            point.reason,
            {STOPPED: point.reason},
        )
    states = [trial.state for trial in median.trials()]
    assert [state == TrialState.PRUNED for state in states] == [p.state == "pruned" for p in median.points]


def test_a_stopped_training_was_worse_than_the_median_of_those_before(median: Scene) -> None:
    losses = [loss_of(median.config(point)) for point in median.points]
    for point in median.points[2:]:
        before = sorted(
            losses[other.number] for other in median.points[: point.number] if other.state == "complete"
        )
        middle = (before[(len(before) - 1) // 2] + before[len(before) // 2]) / 2
        assert (point.state == "pruned") == (losses[point.number] > middle)
    assert {point.state for point in median.points[:2]} == {"complete"}


def test_a_stopped_training_is_not_tried_again_and_counts(median: Scene) -> None:
    assert median.session(decide=honest, watched=True).jobs == []
    assert len(median.points) == 8
    assert set(Counter(row.spec_id for row in median.rows).values()) == {1}
    assert all(point.state == "complete" for point in median.findings.ranked)


@pytest.mark.parametrize("patches", [(*LONG, MEDIAN), (SEEDS,)], ids=["median", "wilcoxon"])
def test_lost_tables_are_made_again_with_what_the_pruner_compares_by(
    new_scene: NewScene, patches: tuple[tuple[str, str], ...]
) -> None:
    scene = new_scene(*patches)
    undisturbed = scene.with_code("undisturbed")
    undisturbed.session(decide=honest, watched=True)
    scene.session(4, decide=honest, watched=True)
    scene.tables = InMemoryStorage()
    scene.session(decide=honest, watched=True)
    assert scene.asked == undisturbed.asked
    assert "pruned" in {point.state for point in scene.points}


def test_hyperband_stops_trainings_at_its_rungs(new_scene: NewScene) -> None:
    scene = new_scene(*LONG, HYPERBAND)
    scene.session(decide=honest, watched=True)
    pruned = [point for point in scene.points if point.state == "pruned"]
    assert pruned
    for point in pruned:
        last = recorded(scene, point.number)[-1]
        assert point.reason == f"stopped at step {last} by the hyperband pruner"
        assert last in (1, 3), "the rungs are at updates 1, 3 and 9, counted from 0"
    assert "complete" in {point.state for point in scene.points}


def test_hyperband_asks_the_same_points_after_an_interruption(new_scene: NewScene, tmp_path: Path) -> None:
    """The brackets follow from the id of the run, so both must have the same."""
    scene = new_scene(*LONG, HYPERBAND)
    scene.session(decide=honest, watched=True)
    with open_store(tmp_path / "another.db") as store:
        again = dataclasses.replace(scene, store=store, tables=InMemoryStorage())
        for number in (2, 4, 3):
            with broken_off(Trial, "suggest_int", number), pytest.raises(Broken):
                again.session(decide=honest, watched=True)
        again.session(decide=honest, watched=True)
        assert len(again.trials(TrialState.FAIL)) == 3
        assert again.run.id == scene.run.id
        assert again.asked == scene.asked


def test_the_arm_with_which_the_search_begins_is_never_stopped_outside_of_the_space(
    new_scene: NewScene,
) -> None:
    """Optuna does not know it, so there is nothing to compare it with."""
    scene = new_scene(*LONG, MEDIAN, ("low: 1e-5", "low: 1e-2"))
    scene.session(2, decide=honest, watched=True)
    assert [point.state for point in scene.points] == ["complete", "complete"]


def noisy(job: Job) -> Outcome:
    """Points with a rate far from the best one are worse with every seed."""
    return ended_at(loss_of(job.spec.config) + 1e-4 * (job.spec.seed * 7 % 5), job)


def test_the_wilcoxon_pruner_gives_a_point_up_and_records_the_seeds_that_were_not_run(
    new_scene: NewScene,
) -> None:
    scene = new_scene(SEEDS)
    scene.session(decide=noisy)
    pruned = [point for point in scene.points if point.state == "pruned"]
    assert pruned
    for point in pruned:
        done = len(point.values[LOSS])
        assert 2 <= done < 6
        assert point.reason == f"given up after {done} seeds by the wilcoxon pruner"
        rows = [row for row in scene.rows if row.spec_id in point.spec_ids]
        assert [row.seed for row in rows] == [FIRST_SEARCH_SEED + seed for seed in range(6)]
        assert [row.state for row in rows] == ["finished"] * done + ["interrupted"] * (6 - done)
        assert {row.error for row in rows[done:]} == {point.reason}
        assert {row.seconds for row in rows[done:]} == {0.0}
    assert scene.session(decide=noisy).jobs == []
    assert len(scene.trials(TrialState.PRUNED)) == len(pruned)


def test_a_point_with_a_seed_that_diverged_is_not_given_up_and_optuna_warns_nobody(
    new_scene: NewScene,
) -> None:
    scene = new_scene(SEEDS)

    def decide(job: Job) -> Outcome:
        return ended_at(math.inf, job) if job.spec.seed == FIRST_SEARCH_SEED + 1 else noisy(job)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene.session(3, decide)
    assert [len(point.values[LOSS]) for point in scene.points] == [6, 6, 6]


def test_a_training_that_was_stopped_before_optuna_knew_it_is_not_run_again(new_scene: NewScene) -> None:
    scene = new_scene(*LONG, MEDIAN)
    undisturbed = scene.with_code("undisturbed")
    undisturbed.session(decide=honest, watched=True)
    for _ in range(7):
        with broken_off(Study, "tell", 2), pytest.raises(Broken):
            scene.session(decide=honest, watched=True)
    scene.session(decide=honest, watched=True)
    assert scene.asked == undisturbed.asked
    assert set(Counter(row.spec_id for row in scene.rows).values()) == {1}

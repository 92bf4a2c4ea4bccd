"""Which points a search asks: up to a total or a time, known ones first, none of them twice."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from optuna.trial import TrialState

from harness.errors import TrialError
from harness.run.job import Job
from harness.study.seeds import FIRST_SEARCH_SEED
from harness.trial.outcome import Outcome, Sample
from tests.search.conftest import NewScene
from tests.search.scene import Scene, named
from tests.support.searched_study import (
    CONDITIONAL,
    POINTS,
    RANGES,
    SAMPLER,
    crashed,
    diverged,
    ended_at,
    killed,
    loss_of,
    trained,
)
from tests.support.tiny_study import LOSS

ANY_BATCH = ("primary:", "parity: {differ: [training_tokens, flops]}\nprimary:")
FEW_CHOICES = "    optimizer.lr: {choices: [1e-3, 1e-2]}\n    schedule.warmup: {low: 0, high: 2}\n"
GRID = "  sampler: {kind: grid}\n"


def rate(job: Job) -> float:
    return float(job.spec.config["optimizer"]["lr"])


def test_the_number_of_points_is_a_total_over_all_sessions(new_scene: NewScene) -> None:
    once = new_scene()
    often = once.with_code("often")
    once.session(9)
    begun = [often.session(points).notes.begun for points in (3, 3, 7, 5, 9, 9)]
    assert begun == [[(3, 0)], [(0, 3)], [(4, 3)], [(0, 7)], [(2, 7)], [(0, 9)]]
    assert often.asked == once.asked
    assert len(often.points) == 9
    assert set(Counter(row.spec_id for row in often.rows).values()) == {1}


def test_the_arm_with_which_the_search_begins_is_the_first_point(scene: Scene) -> None:
    jobs = scene.session(2).jobs
    first = scene.points[0]
    assert first.names == {"optimizer.lr": "0.001", "schedule.warmup": "1"}
    assert jobs[0].spec.config == scene.search.begin.plain()
    assert first.values == {LOSS: ([*trained(jobs[0]).samples][-1].value,)}
    assert (first.state, scene.findings.begin) == ("complete", first)


def test_every_point_is_a_trial_with_seeds_of_searches_and_its_values_as_names(scene: Scene) -> None:
    jobs = scene.session().jobs
    assert {(job.spec.purpose, job.spec.round, job.spec.seed) for job in jobs} == {
        ("search", 0, FIRST_SEARCH_SEED)
    }
    assert [job.spec.condition for job in jobs] == [point.names for point in scene.points]
    for job in jobs:
        assert float(job.spec.condition["optimizer.lr"]) == rate(job)
        assert int(job.spec.condition["schedule.warmup"]) == job.spec.config["schedule"]["warmup"]


def test_points_under_enqueue_come_next_and_may_be_added_later(new_scene: NewScene) -> None:
    first = new_scene((POINTS, "  points: 5\n  enqueue: [{optimizer.lr: 3e-3, schedule.warmup: 2}]\n"))
    first.session(3)
    more = new_scene(
        (
            POINTS,
            """\
  points: 5
  enqueue:
  - {optimizer.lr: 3e-3, schedule.warmup: 2}
  - {optimizer.lr: 1e-1, schedule.warmup: 0}
  - {optimizer.lr: 1e-3, schedule.warmup: 1}
""",
        )
    )
    more.tables = first.tables
    assert more.run == first.run
    more.session(5)
    rates = named(more, "optimizer.lr")
    assert (rates[0], rates[1], rates[3]) == ("0.001", "0.003", "0.1")
    assert len(set(rates)) == 5, "the baseline and the first of them were asked before"


def test_a_whole_number_that_is_enqueued_for_a_real_one_is_the_same_point(new_scene: NewScene) -> None:
    """Optuna's tables give 1.0 back, whatever a person wrote."""
    clip = "    clip: {low: 0.5, high: 2.0}\n"
    scene = new_scene((RANGES, clip), (POINTS, "  points: 4\n  enqueue: [{clip: 2}]\n"))
    scene.session(3)
    scene.session(4)
    assert named(scene, "clip")[:2] == ["1.0", "2.0"]
    assert len(scene.points) == 4


@pytest.mark.parametrize(
    "space",
    [
        "optimizer.lr: {low: 1e-2, high: 1e-1}",
        "optimizer.kind: {choices: [radam, sgd]}",
        "schedule: {choices: [a: {schedule: {kind: linear, warmup: 2}}, b: {schedule.kind: constant}]}",
    ],
    ids=["a range without it", "choices without it", "groups without it"],
)
def test_an_arm_outside_of_the_space_is_the_first_point_all_the_same(new_scene: NewScene, space: str) -> None:
    scene = new_scene(
        (RANGES, f"    {space}\n    batch: {{low: 4, high: 9}}\n"), (POINTS, "  points: 4\n"), ANY_BATCH
    )
    assert scene.search.start is None
    jobs = scene.session(2).jobs
    assert jobs[0].spec.config == scene.search.begin.plain()
    scene.session(4)
    assert [point.number for point in scene.points] == [0, 1, 2, 3]
    assert [dict(point.names) == {} for point in scene.points] == [True, False, False, False]
    known = [trial for trial in scene.trials(TrialState.COMPLETE) if "repeats" not in trial.user_attrs]
    assert len(known) == 3, "Optuna cannot know a point outside of the space"
    assert scene.findings.begin.values[LOSS] == ([*trained(jobs[0]).samples][-1].value,)


def test_a_parameter_exists_only_with_the_choice_that_it_needs(new_scene: NewScene) -> None:
    scene = new_scene((RANGES, CONDITIONAL), (POINTS, "  points: 12\n"))
    jobs = scene.session().jobs
    kinds = named(scene, "optimizer.kind")
    assert set(kinds) == {"adamw", "sgd"}
    for kind, point, job in zip(kinds, scene.points, jobs, strict=True):
        assert ("optimizer.momentum" in point.names) == (kind == "sgd")
        if kind == "sgd":
            assert float(point.names["optimizer.momentum"]) == job.spec.config["optimizer"]["momentum"]
        else:
            assert "momentum" not in job.spec.config["optimizer"]


def test_the_time_of_all_trials_together_ends_a_search(scene: Scene) -> None:
    """Three points of 10 s reach 25 s; the next session finds that nothing is left."""
    assert len(scene.session(50, timeout=25.0, seconds=10.0).jobs) == 3
    assert scene.session(50, timeout=25.0, seconds=10.0).jobs == []
    assert len(scene.session(50, timeout=41.0, seconds=10.0).jobs) == 2
    assert sum(point.seconds for point in scene.points) == 50.0


def test_the_value_of_a_point_is_the_median_over_its_seeds(new_scene: NewScene) -> None:
    scene = new_scene((POINTS, "  points: 3\n  seeds: 3\n"))
    noise = {FIRST_SEARCH_SEED: 0.5, FIRST_SEARCH_SEED + 1: -0.25, FIRST_SEARCH_SEED + 2: 0.125}
    jobs = scene.session(decide=lambda job: ended_at(2.0 + noise[job.spec.seed], job)).jobs
    assert [job.spec.seed for job in jobs] == sorted(noise) * 3
    [objective] = scene.findings.objectives
    for point in scene.points:
        assert point.values[LOSS] == (2.5, 1.75, 2.125)
        assert point.median(objective) == 2.125
    assert [trial.value for trial in scene.trials()] == [2.125] * 3


def test_a_training_that_diverges_is_ranked_last_and_not_dropped(scene: Scene) -> None:
    """Even if it is the first point, or if all others diverge."""
    scene.session(4, lambda job: (diverged if rate(job) == 1e-3 else trained)(job))
    assert [point.state for point in scene.points] == ["diverged", "complete", "complete", "complete"]
    assert scene.points[0].values == {LOSS: (math.inf,)}
    assert scene.trials(TrialState.COMPLETE)[0].value == math.inf
    by_value = sorted((1, 2, 3), key=lambda number: scene.points[number].values[LOSS])
    assert [point.number for point in scene.findings.ranked] == by_value
    scene.session(8, diverged)
    assert [point.state for point in scene.points[4:]] == ["diverged"] * 4
    assert [point.number for point in scene.findings.ranked] == by_value


def test_of_several_seeds_the_median_decides_whether_one_divergence_matters(new_scene: NewScene) -> None:
    scene = new_scene((POINTS, "  points: 2\n  seeds: 3\n"))
    scene.session(decide=lambda job: (diverged if job.spec.seed == FIRST_SEARCH_SEED else trained)(job))
    [objective] = scene.findings.objectives
    assert all(math.isfinite(point.median(objective)) for point in scene.points)
    assert [math.isfinite(trial.value or math.nan) for trial in scene.trials()] == [True, True]


def test_a_point_that_crashes_has_failed_with_its_reason_and_counts(scene: Scene) -> None:
    tried: Counter[str] = Counter()

    def decide(job: Job) -> Outcome:
        tried[job.spec.id] += 1
        return crashed(job) if len(tried) == 3 else trained(job)

    assert len(scene.session(5, decide).jobs) == 5
    assert [point.state for point in scene.points] == [
        "complete",
        "complete",
        "failed",
        "complete",
        "complete",
    ]
    assert scene.points[2].reason == "trouble"
    [failed] = scene.trials(TrialState.FAIL)
    assert failed.user_attrs["reason"] == "trouble"
    assert failed.params == {
        "optimizer.lr": float(scene.points[2].names["optimizer.lr"]),
        "schedule.warmup": int(scene.points[2].names["schedule.warmup"]),
    }
    assert scene.session(5).jobs == [], "it is dead, and five points have been asked"
    assert [point.number for point in scene.findings.ranked if point.number == 2] == []


def test_a_point_whose_worker_is_killed_once_is_tried_again(scene: Scene) -> None:
    tried: Counter[str] = Counter()

    def decide(job: Job) -> Outcome:
        tried[job.spec.id] += 1
        return killed(job) if tried[job.spec.id] == 1 else trained(job)

    scene.session(3, decide)
    assert [point.state for point in scene.points] == ["complete"] * 3
    assert set(tried.values()) == {2}


@pytest.mark.parametrize("inside", [True, False], ids=["a point", "outside of the space"])
def test_a_search_whose_first_point_crashes_ends_at_once_with_the_reason(
    new_scene: NewScene,
    inside: bool,  # noqa: FBT001
) -> None:
    scene = new_scene() if inside else new_scene(("low: 1e-5", "low: 1e-2"))
    for _ in range(2):
        with pytest.raises(TrialError) as ended:
            scene.session(5, crashed)
        assert str(ended.value) == "the arm with which the search begins cannot be run: trouble"
        assert ended.value.exit_code == 3
    assert len(scene.rows) == 1, "it would only crash again"


def test_a_grid_asks_each_of_its_points_once_and_then_ends(new_scene: NewScene) -> None:
    scene = new_scene((RANGES, FEW_CHOICES), (SAMPLER, GRID), (POINTS, "  points: 50\n"))
    first = scene.session(4)
    assert first.notes.notes == []
    session = scene.session()
    assert session.notes.notes == ["every point of the grid has been asked"]
    asked = [(point.names["optimizer.lr"], point.names["schedule.warmup"]) for point in scene.points]
    assert sorted(asked) == sorted(itertools.product(("0.001", "0.01"), "012"))
    assert asked != sorted(asked)
    assert scene.session().jobs == []


def test_a_grid_knows_which_parameters_exist(new_scene: NewScene) -> None:
    space = CONDITIONAL.replace("low: 1e-5, high: 1e-1, log: true", "choices: [1e-3, 1e-2]")
    scene = new_scene((RANGES, space), (SAMPLER, GRID), (POINTS, "  points: 50\n"))
    jobs = scene.session().jobs
    assert len(jobs) == 2 + 2 * 4
    assert len({job.spec.id for job in jobs}) == 10


def test_a_small_space_is_not_asked_twice_and_then_the_search_ends(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optuna's sampler repeats itself, which costs no training."""
    monkeypatch.setattr("harness.search.programme.MOST_REFUSED", 20)
    scene = new_scene((RANGES, FEW_CHOICES), (POINTS, "  points: 50\n"))
    session = scene.session()
    assert len(session.jobs) == len({job.spec.id for job in session.jobs}) == len(scene.points) <= 6
    assert session.notes.notes == [
        "the last 20 points were impossible or had been asked before, so the search ends"
    ]
    repeated = [trial for trial in scene.trials() if "repeats" in trial.user_attrs]
    assert len(repeated) >= 20
    for trial in repeated:
        assert trial.value == scene.points[trial.user_attrs["repeats"]].values[LOSS][0]


def test_points_whose_settings_do_not_go_together_are_told_to_optuna_and_cost_nothing(
    new_scene: NewScene,
) -> None:
    """Every end alone is possible, but a warm-up and a flat part of three updates each are too long."""
    space = "    schedule.warmup: {low: 1, high: 3}\n    schedule.flat: {low: 0, high: 3}\n"
    scene = new_scene((RANGES, space), (POINTS, "  points: 6\n"), (SAMPLER, "  sampler: {kind: random}\n"))
    jobs = scene.session().jobs
    assert len(jobs) == len(scene.points) == 6
    for job in jobs:
        assert job.spec.config["schedule"]["warmup"] + job.spec.config["schedule"]["flat"] <= 4
    impossible = scene.trials(TrialState.FAIL)
    assert impossible
    for trial in impossible:
        assert trial.params["schedule.warmup"] + trial.params["schedule.flat"] > 4
        assert "is longer than the run of 4 updates" in trial.user_attrs["reason"]


OBJECTIVES = "  objective: [validation_loss, bits_per_byte]\n  finalists: 2\n"


def compromise(job: Job) -> Outcome:
    """One objective wants a low rate and the other one a high rate."""
    taste = math.log10(rate(job)) / 10
    samples = (Sample(LOSS, 3, 3.0 + taste), Sample("bits_per_byte", 3, 2.0 - taste))
    return Outcome(status="finished", samples=samples)


def test_of_several_objectives_the_front_is_kept_and_its_ends_are_finalists(new_scene: NewScene) -> None:
    scene = new_scene((POINTS, f"  points: 8\n{OBJECTIVES}"), (SAMPLER, "  sampler: {kind: nsga-ii}\n"))
    scene.session(decide=compromise)
    findings = scene.findings
    assert len(findings.points) == 8
    assert {point.number for point in findings.front} == set(range(8)), "each is best for some taste"
    others = findings.points[1:]
    lowest = min(others, key=lambda point: point.values[LOSS])
    highest = min(others, key=lambda point: point.values["bits_per_byte"])
    assert findings.best == {"best_1": lowest, "best_2": highest}
    assert [trial.values for trial in scene.trials()] == [
        [point.values[LOSS][0], point.values["bits_per_byte"][0]] for point in findings.points
    ]


def test_a_dominated_point_is_no_finalist(new_scene: NewScene) -> None:
    scene = new_scene((POINTS, f"  points: 5\n{OBJECTIVES}"), (SAMPLER, "  sampler: {kind: random}\n"))

    def decide(job: Job) -> Outcome:
        loss = 1.0 if rate(job) == 1e-3 else 2.0 + loss_of(job.spec.config)
        return Outcome(status="finished", samples=(Sample(LOSS, 3, loss), Sample("bits_per_byte", 3, loss)))

    scene.session(decide=decide)
    assert [point.number for point in scene.findings.front] == [0]
    assert scene.findings.best == {}, "the arm with which the search began is best at both"

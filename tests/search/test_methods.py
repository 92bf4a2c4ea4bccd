"""Every sampler asks points of the space, and after interruptions the same ones as without."""

from __future__ import annotations

import math
import warnings

import optuna
import pytest
from optuna.trial import Trial, TrialState

from harness.run.job import Job
from harness.search.resumable import ResumableGrid
from harness.study.space import Space
from harness.trial.outcome import Outcome, Sample
from tests.end_to_end.in_process import Broken
from tests.search.conftest import NewScene
from tests.search.scene import broken_off
from tests.support.searched_study import POINTS, RANGES, SAMPLER, loss_of
from tests.support.tiny_study import LOSS

NUMBERS = """\
    optimizer.lr: {low: 1e-5, high: 1e-1, log: true}
    schedule.warmup: {low: 0, high: 3}
    optimizer.weight_decay: {low: 0.0, high: 0.5, step: 0.1}
"""
MIXED = f"""\
{NUMBERS}    clip: {{choices: [null, 1.0, 0.5]}}
    compile: {{choices: [false, true]}}
    schedule.kind: {{choices: [cosine, linear]}}
    schedule.flat: {{low: 0, high: 1, when: {{schedule.kind: cosine}}}}
"""
GRID = "    optimizer.lr: {low: 1e-3, high: 4e-3, step: 1e-3}\n" + NUMBERS.split("\n", 1)[1]

SAMPLERS = (
    pytest.param("tpe, random: 4", MIXED, id="tpe"),
    pytest.param("tpe, random: 4, joint: false", MIXED, id="tpe, parameters alone"),
    pytest.param("gp, random: 11", NUMBERS, id="gp"),
    pytest.param("cma-es, population: 4", NUMBERS, id="cma-es"),
    pytest.param("random", MIXED, id="random"),
    pytest.param("grid", GRID, id="grid"),
    pytest.param("qmc", NUMBERS, id="sobol"),
    pytest.param("qmc, sequence: halton", NUMBERS, id="halton"),
    pytest.param("nsga-ii, population: 4", MIXED, id="nsga-ii"),
)


@pytest.mark.parametrize(("kind", "space"), SAMPLERS)
def test_a_sampler_asks_points_of_the_space_and_the_same_after_interruptions(
    new_scene: NewScene, kind: str, space: str
) -> None:
    scene = new_scene(
        (RANGES, space), (SAMPLER, f"  sampler: {{kind: {kind}}}\n"), (POINTS, "  points: 12\n")
    )
    undisturbed = scene.with_code("undisturbed")
    undisturbed.session()
    points = undisturbed.points
    assert len(points) == len({point.spec_ids for point in points}) == 12
    for point in points:
        check_is_in(scene.search.space, dict(point.names))
    for owner, name, number in (
        (Trial, "suggest_float", 6),
        (Trial, "suggest_float", 6),
        (optuna.Study, "tell", 4),
    ):
        with broken_off(owner, name, number), pytest.raises(Broken):
            scene.session()
    scene.session()
    assert scene.asked == undisturbed.asked
    assert len(scene.trials(TrialState.FAIL)) == 2, "the two that were broken off before they had a point"


def check_is_in(space: Space, names: dict[str, str]) -> None:
    point = space.read(names)
    assert space.is_complete(point)
    assert point.keys() == {name for name in space.parameters if space.exists(name, point)}
    assert all(space.contains(name, value) for name, value in point.items())


def both(job: Job) -> Outcome:
    """One objective wants a short warm-up, the other one a long one."""
    warmup, loss = job.spec.config["schedule"]["warmup"], loss_of(job.spec.config)
    samples = (Sample(LOSS, 3, loss + warmup), Sample("bits_per_byte", 3, loss - warmup / 10 + 2))
    return Outcome(status="finished", samples=samples)


@pytest.mark.parametrize(
    "kind", ["tpe, random: 4", "gp, random: 7", "random", "qmc", "nsga-ii, population: 4"]
)
def test_a_sampler_knows_several_objectives(new_scene: NewScene, kind: str) -> None:
    scene = new_scene(
        (SAMPLER, f"  sampler: {{kind: {kind}}}\n"),
        (POINTS, "  points: 8\n  objective: [validation_loss, bits_per_byte]\n"),
    )
    scene.session(decide=both)
    assert len(scene.points) == len({point.spec_ids for point in scene.points}) == 8
    assert {trial.state for trial in scene.trials()} == {TrialState.COMPLETE}


@pytest.mark.parametrize(
    "kind", ["tpe, random: 2", "gp, random: 9", "cma-es, population: 4", "nsga-ii, population: 2"]
)
def test_a_sampler_goes_on_after_trainings_that_diverged(new_scene: NewScene, kind: str) -> None:
    """Every second one does, with an infinite loss, and nobody is warned of it."""
    scene = new_scene((SAMPLER, f"  sampler: {{kind: {kind}}}\n"), (POINTS, "  points: 10\n"))
    count = 0

    def decide(job: Job) -> Outcome:
        nonlocal count
        count += 1
        loss = math.nan if count % 2 else loss_of(job.spec.config)
        return Outcome(status="finished", samples=(Sample(LOSS, 3, loss),))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene.session(decide=decide)
    assert [point.state for point in scene.points] == ["diverged", "complete"] * 5


def test_another_seed_of_the_sampler_asks_other_points(new_scene: NewScene) -> None:
    searches = [new_scene((POINTS, f"  points: 4\n  seed: {seed}\n")) for seed in (0, 1)]
    for scene in searches:
        scene.session()
    first, second = (scene.asked for scene in searches)
    assert first[0] == second[0], "the arm with which the search begins"
    assert not [point for point in first[1:] if point in second]
    assert searches[0].run.identity != searches[1].run.identity


def test_the_points_of_a_grid_are_in_an_order_that_its_seed_decides(new_scene: NewScene) -> None:
    space = new_scene((RANGES, GRID), (SAMPLER, "  sampler: {kind: grid}\n")).search.space
    study = optuna.create_study()
    orders = []
    for seed in (0, 0, 1):
        grid, order = ResumableGrid(space, seed), []
        for _ in range(5):
            point = grid.next_point(study)
            assert point is not None
            order.append(space.names(point))
            study.enqueue_trial(dict(point))
        orders.append(order)
    assert len(list(space.points())) == 4 * 4 * 6
    assert orders[0] == orders[1] != orders[2]

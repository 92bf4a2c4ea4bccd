"""Searches of problems whose answer is known: TPE finds more than chance does, and noise proves nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import optuna
import pytest
from optuna.trial import TrialState

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, sample_frame
from harness.config import digest
from harness.run.job import Job
from harness.search.distributions import params_of, suggested_point
from harness.search.methods import sampler
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.study.search import RandomDraws, Sampler, Tpe
from harness.study.searched import LoadedSearch
from harness.study.space import Point, Space
from harness.trial.outcome import Outcome
from harness.trial.spec import TrialSpec
from tests.search.conftest import NewScene
from tests.support.searched_study import POINTS, RANGES, SAMPLER, ended_at, searched
from tests.support.tiny_study import LOSS

SPACE = """\
    optimizer.lr: {low: 1e-5, high: 1e-1, log: true}
    optimizer.weight_decay: {low: 0.0, high: 0.5}
    clip: {low: 0.1, high: 4.0}
"""
OPTIMUM = {"optimizer.lr": 0.8, "optimizer.weight_decay": 0.7, "clip": 0.6}
"""Where the loss is least, from 0 to 1 between the ends of each range."""

WIDTH = 0.1
"""How far from the optimum, of the length of a range, the loss is still 1 − 1/√e of the way down."""

NOISE = 0.1
"""The SD of the noise: a tenth of the range of the true losses, which is 1."""

Loss = Callable[[Point], float]


def true_loss(space: Space, point: Point) -> float:
    """A paraboloid around the optimum that flattens far from it: from 2 to 3."""
    squared = sum(
        (space.relative_position(name, point[name]) - best) ** 2 / len(OPTIMUM)
        for name, best in OPTIMUM.items()
    )
    return 3.0 - math.exp(-squared / (2 * WIDTH**2))


def noisy_loss(space: Space, point: Point, seed: int) -> float:
    chance = random.Random(f"{seed} {digest(space.names(point))}")
    return true_loss(space, point) + chance.gauss(0.0, NOISE)


def asked(search: LoadedSearch, loss: Loss, method: Sampler, seed: int, points: int) -> list[Point]:
    """The points that a search asks, by its own sampler and without a driver."""
    study, space = optuna.create_study(), search.space
    assert search.start is not None
    study.enqueue_trial(params_of(space, search.start))
    made: list[Point] = []
    for number in range(points):
        study.sampler = sampler(method, space, seed, number)
        trial = study.ask()
        made.append(suggested_point(space, trial))
        study.tell(trial, loss(made[-1]), state=TrialState.COMPLETE)
    return made


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> LoadedSearch:
    return searched(tmp_path_factory.mktemp("planted"), (RANGES, SPACE))


def test_the_driver_asks_the_points_that_these_tests_ask_without_it(
    new_scene: NewScene, planted: LoadedSearch
) -> None:
    scene = new_scene((RANGES, SPACE), (SAMPLER, ""), (POINTS, "  points: 15\n  seed: 3\n"))
    space = scene.search.space

    def decide(job: Job) -> Outcome:
        return ended_at(noisy_loss(space, space.read(job.spec.condition), 3), job)

    scene.session(decide=decide)
    points = asked(planted, lambda point: noisy_loss(space, point, 3), Tpe(), 3, 15)
    assert [point.names for point in scene.points] == [space.names(point) for point in points]


def test_tpe_finds_better_points_than_chance_in_at_least_16_of_20_searches(planted: LoadedSearch) -> None:
    """The true losses are compared of the points with the least noisy loss, of 60 each."""
    space, won = planted.space, 0
    for seed in range(20):

        def loss(point: Point, seed: int = seed) -> float:
            return noisy_loss(space, point, seed)

        best = [min(asked(planted, loss, way, seed, 60), key=loss) for way in (Tpe(), RandomDraws())]
        won += true_loss(space, best[0]) < true_loss(space, best[1])
    assert won >= 16


SEARCHES, SEARCHED_POINTS = 100, 10


def trainings(proof: LoadedStudy, number: int) -> Iterator[tuple[TrialSpec, float]]:
    """The trials of a proof in which all settings are equally good, with their losses."""
    chance = random.Random(f"proof {number}")
    for spec in plan(proof.drawn(number + 2, number + 2)).trials:
        yield spec, 3.0 + chance.gauss(0.0, NOISE)


def row(number: int, spec: TrialSpec) -> TrialRow:
    return TrialRow(
        id=number,
        run_id="r",
        session_id=1,
        spec_id=spec.id,
        purpose=spec.purpose,
        task=spec.task,
        arm=spec.arm,
        condition=spec.condition,
        seed=spec.seed,
        round=spec.round,
        position=number,
        attempt=1,
        state="finished",
        superseded_state=None,
        started_at="",
        seconds=1.0,
        spec_json=spec.model_dump_json(),
        outputs={"weights": spec.id},
        spent={"updates": 4.0},
        notes={},
        error=None,
        traceback=None,
        nvml_reason=None,
    )


def test_the_best_of_noise_looks_better_and_is_not_proven_to_be(planted: LoadedSearch) -> None:
    """Whoever reports the value of the search reports an improvement nearly always."""
    looked_better, proven = 0, 0
    proof = planted.proof_of({"best": {"optimizer.lr": 1e-2, "optimizer.weight_decay": 0.25, "clip": 2.0}})
    for number in range(SEARCHES):
        chance = random.Random(f"search {number}")
        losses = [3.0 + chance.gauss(0.0, NOISE) for _ in range(SEARCHED_POINTS)]
        looked_better += min(losses[1:]) < losses[0]
        measured = list(trainings(proof, number))
        rows = [row(index, spec) for index, (spec, _) in enumerate(measured, start=1)]
        samples = [(index, LOSS, 3, loss) for index, (_, loss) in enumerate(measured, start=1)]
        frames = MemoryFrames(samples=sample_frame(rows, samples), trials=tuple(rows), checks=())
        [claim] = analyse(proof, frames).claims
        assert claim.verdict != "invalid"
        proven += claim.verdict == "confirmed"
    assert looked_better >= 80
    assert proven <= 5

"""How fast the store takes and gives raw samples.

Run with `--benchmark-enable`; without it, only that it works.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.store.rows import Identity, Run, Session
from harness.store.store import Store, open_store
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

SAMPLES = 100_000
TRIALS = 1_000
Scene = tuple[Store, Run, Session]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_store(tmp_path / "harness.db") as store:
        run = planned(store)
        yield store, run, store.open_session(run, {})


def planned(store: Store) -> Run:
    identity = Identity(study_digest="s", scale="cpu", code_digest="c", environment_digest="e")
    return store.create_run(
        identity,
        study="speed",
        study_json="{}",
        study_source="",
        environment={},
        trials=[*map(spec, range(TRIALS))],
    )


def spec(seed: int) -> TrialSpec:
    return TrialSpec(purpose="measure", task="t", arm="a", condition={}, seed=seed, round=1, config={})


def begin(scene: Scene, seed: int) -> int:
    store, run, session = scene
    return store.begin_trial(run, session, spec(seed), position=seed)


def outcome(count: int) -> Outcome:
    metrics = ("loss", "tokens_per_second")
    steps = range(count // len(metrics))
    return Outcome(
        status="finished", samples=tuple(Sample(name, step, step / 7) for step in steps for name in metrics)
    )


def test_samples_go_in_at_200_000_a_second(benchmark: BenchmarkFixture, scene: Scene) -> None:
    store, run, _ = scene
    measured = outcome(SAMPLES)
    seeds = itertools.count()

    def setup() -> tuple[tuple[int], dict[str, object]]:
        return (begin(scene, next(seeds)),), {}

    def finish(attempt_id: int) -> None:
        store.finish_trial(attempt_id, measured, seconds=1.0)

    benchmark.pedantic(finish, setup=setup, rounds=5)  # type: ignore[no-untyped-call]
    if benchmark.stats:  # None where benchmarks are disabled
        assert SAMPLES / benchmark.stats.stats.median >= 200_000
    assert len(store.samples(run)) == SAMPLES * next(seeds)


def test_samples_come_out(benchmark: BenchmarkFixture, scene: Scene) -> None:
    store, run, _ = scene
    count = SAMPLES if benchmark.enabled else SAMPLES // 10  # all of them are read in the test above, too
    store.finish_trial(begin(scene, 0), outcome(count), seconds=1.0)
    assert len(benchmark(store.samples, run)) == count


def test_a_small_trial_costs_the_driver_little(benchmark: BenchmarkFixture, scene: Scene) -> None:
    """Beginning and finishing a trial of ten samples: a small part of the 0.2 s that the harness may take for
    a trial.
    """
    store, run, _ = scene
    seeds = itertools.count()
    measured = outcome(10)

    def one() -> None:
        store.finish_trial(begin(scene, next(seeds)), measured, seconds=1.0)

    benchmark.pedantic(one, rounds=200)  # type: ignore[no-untyped-call]
    if benchmark.stats:
        assert benchmark.stats.stats.median <= 0.1
    assert len(store.results(run)) == next(seeds)


def test_a_plan_of_a_thousand_trials_is_written_in_a_moment(
    benchmark: BenchmarkFixture, scene: Scene
) -> None:
    """Every planned trial is written when its run is made: a part of a run's start, not of a trial's time."""
    store, _, _ = scene
    run = benchmark.pedantic(planned, args=(store,), rounds=5)  # type: ignore[no-untyped-call]
    if benchmark.stats:
        assert benchmark.stats.stats.median <= 0.5
    assert len(store.planned(run)) == TRIALS

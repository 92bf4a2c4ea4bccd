"""How fast the store takes and gives raw samples. Run with `--benchmark-enable`; without it, only that it works."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.store.rows import Identity, Run, Session
from harness.store.store import Store, open_store
from harness.study.outcome import Outcome, Sample
from harness.study.trial import TrialSpec

SAMPLES = 100_000
Scene = tuple[Store, Run, Session]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    identity = Identity(study_digest="s", scale="cpu", code_digest="c", environment_digest="e")
    with open_store(tmp_path / "harness.db") as store:
        run = store.create_run(
            identity, study="speed", study_json="{}", study_source="", environment={}, expected_trials=1
        )
        yield store, run, store.open_session(run, {})


def begin(scene: Scene, seed: int) -> int:
    store, run, session = scene
    spec = TrialSpec(purpose="measure", task="t", arm="a", condition={}, seed=seed, round=1, config={})
    return store.begin_trial(run, session, spec, position=seed, attempt=1)


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

    def finish(trial_id: int) -> None:
        store.finish_trial(trial_id, measured, seconds=1.0)

    benchmark.pedantic(finish, setup=setup, rounds=5)  # type: ignore[no-untyped-call]
    if benchmark.stats:  # None where benchmarks are disabled
        assert SAMPLES / benchmark.stats.stats.median >= 200_000
    assert len(store.samples(run)) == SAMPLES * next(seeds)


def test_samples_come_out(benchmark: BenchmarkFixture, scene: Scene) -> None:
    store, run, _ = scene
    store.finish_trial(begin(scene, 0), outcome(SAMPLES), seconds=1.0)
    assert len(benchmark(store.samples, run)) == SAMPLES


def test_a_small_trial_costs_the_driver_little(benchmark: BenchmarkFixture, scene: Scene) -> None:
    """Beginning and finishing a trial of ten samples: a small part of the 0.2 s that the harness may take for a trial."""
    store, run, _ = scene
    seeds = itertools.count()
    measured = outcome(10)

    def one() -> None:
        store.finish_trial(begin(scene, next(seeds)), measured, seconds=1.0)

    benchmark(one)
    if benchmark.stats:
        assert benchmark.stats.stats.median <= 0.1
    assert len(store.finished_spec_ids(run)) == next(seeds)

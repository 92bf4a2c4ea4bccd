"""How long the plan of 10,000 trials takes. Run with `--benchmark-enable`; without it, only that it works."""

from __future__ import annotations

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from harness.study.planning.plan import plan
from tests.support.tiny_study import loaded

TRIALS, PER_ROUND = 10_000, 9


def test_plan_of_ten_thousand_trials(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    rounds = TRIALS // PER_ROUND + 1 if benchmark.enabled else 10
    study = loaded(tmp_path, ("rounds: 10", f"rounds: {rounds}"))
    made = benchmark.pedantic(plan, args=(study,), rounds=3)  # type: ignore[no-untyped-call]
    assert sum(map(len, made.rounds)) == rounds * PER_ROUND

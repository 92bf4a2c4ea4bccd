"""What a search costs besides its trainings. Run with `--benchmark-enable`; without it, only that it works.

The target is at most 0.2 s for a point, when 200 points are known and TPE chooses the next one. Optuna's
tables and the store are real files. Asserted is a ceiling of five times that, for a machine that is busy with
something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.machine.environment import environment
from harness.search.storage import opened_storage
from harness.store.store import open_store
from tests.search.scene import Scene
from tests.support.searched_study import SAMPLER, searched

KNOWN, MORE = 200, 10


@pytest.fixture
def scene(tmp_path: Path, benchmark: BenchmarkFixture) -> Iterator[Scene]:
    """A search that has asked many points already."""
    location = str(tmp_path / "harness.db")
    with open_store(location) as store, opened_storage(location) as tables:
        search = searched(tmp_path, (SAMPLER, "  sampler: {kind: tpe, random: 10}\n"))
        scene = Scene(tmp_path, store, environment(), search, tables=tables)
        scene.session(KNOWN if benchmark.enabled else 2)
        yield scene


def test_a_point_costs_a_fifth_of_a_second_at_most(benchmark: BenchmarkFixture, scene: Scene) -> None:
    def more() -> None:
        scene.session(len(scene.points) + MORE)

    benchmark.pedantic(more, rounds=5 if benchmark.enabled else 1)  # type: ignore[no-untyped-call]
    assert len(scene.points) > MORE
    if benchmark.stats:
        benchmark.extra_info["seconds_per_point"] = benchmark.stats.stats.median / MORE
        assert benchmark.stats.stats.median / MORE <= 1.0

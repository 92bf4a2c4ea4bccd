"""Both databases for every test of the store: a SQLite file, and a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from harness.store.rows import Identity, Run, Session
from harness.store.store import Store, open_store
from harness.trial.spec import TrialSpec
from tests.support.stored_run import trial


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store can be made: once in a file, once on a server."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "harness.db")


@pytest.fixture
def store(location: str) -> Iterator[Store]:
    with open_store(location) as store:
        yield store


@pytest.fixture
def new_run() -> Callable[..., Run]:
    def make(
        store: Store,
        *,
        study: str = "kv_cache",
        scale: str = "cpu",
        plant: str | None = None,
        seeds: Iterable[int] = range(4),
    ) -> Run:
        identity = Identity(
            study_digest=f"digest of {study}",
            scale=scale,
            code_digest="c0de",
            environment_digest="e0e0",
            plant=plant,
        )
        return store.create_run(
            identity,
            study=study,
            study_json='{"study":"kv_cache"}',
            study_source="study: kv_cache\n",
            environment={"cpu": "any", "threads": 1},
            trials=[trial(seed) for seed in seeds],
        )

    return make


@pytest.fixture
def run(store: Store, new_run: Callable[..., Run]) -> Run:
    return new_run(store)


@pytest.fixture
def session(store: Store, run: Run) -> Session:
    return store.open_session(run, {"command": "harness run"})


@pytest.fixture
def spec() -> Callable[[int], TrialSpec]:
    return trial

"""Searches whose trials are not run: they only say how they would have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from harness.machine.environment import Environment, environment
from harness.store.store import Store, open_store
from harness.study.searched import LoadedSearch
from tests.search.scene import Scene, make_sessions_quick
from tests.support.searched_study import searched

NewScene = Callable[..., Scene]


@pytest.fixture(scope="session")
def here() -> Environment:
    return environment()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    make_sessions_quick(monkeypatch)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for the tests of a module; each has a version of the code of its own, and so its own runs."""
    with open_store(tmp_path_factory.mktemp("store") / "harness.db") as store:
        yield store


@pytest.fixture(scope="session")
def _search_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., LoadedSearch]:
    """The search of the tiny study, changed by patches, which is read once for all tests."""
    folder = tmp_path_factory.mktemp("searched")
    return cache(lambda *patches: searched(folder, *patches))


@pytest.fixture
def new_scene(
    tmp_path: Path, store: Store, here: Environment, _search_of: Callable[..., LoadedSearch]
) -> NewScene:
    """Makes a scene of the tiny study, changed by patches."""
    code = tmp_path.name
    return lambda *patches: Scene(tmp_path, store, here, _search_of(*patches), code=code)


@pytest.fixture
def scene(new_scene: NewScene) -> Scene:
    return new_scene()

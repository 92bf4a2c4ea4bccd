"""Searches whose trials are not run: they only say how they would have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.machine.environment import Environment, environment
from harness.store.store import Store, open_store
from tests.search.scene import Scene, make_sessions_quick
from tests.support.searched_study import searched

NewScene = Callable[..., Scene]


@pytest.fixture(scope="session")
def here() -> Environment:
    return environment()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    make_sessions_quick(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "harness.db") as store:
        yield store


@pytest.fixture
def new_scene(tmp_path: Path, store: Store, here: Environment) -> NewScene:
    """Makes a scene of the tiny study, changed by patches."""

    def make(*patches: tuple[str, str]) -> Scene:
        return Scene(tmp_path, store, here, searched(tmp_path, *patches))

    return make


@pytest.fixture
def scene(new_scene: NewScene) -> Scene:
    return new_scene()

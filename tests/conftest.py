"""Shared by tests of several rooms: a cache of corpora for the whole session, and places with a tiny study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.workplace import Workplace, copy_code


@pytest.fixture(scope="session")
def corpus_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state of the code for all commands of the session: its digest is part of a run's identity."""
    return copy_code(tmp_path_factory.mktemp("code"))


@pytest.fixture(scope="session")
def new_workplace(
    tmp_path_factory: pytest.TempPathFactory, corpus_cache: Path, code: Path
) -> Callable[[], Workplace]:
    return lambda: Workplace.make(tmp_path_factory.mktemp("place"), cache=corpus_cache, code=code)


@pytest.fixture
def workplace(new_workplace: Callable[[], Workplace]) -> Workplace:
    return new_workplace()

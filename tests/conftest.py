"""Fixtures of several packages: a cache of corpora, workplaces with a tiny study, and a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from harness.run import lease
from tests.end_to_end.workplace import Workplace, copy_code
from tests.support.fake_gpus import fake_gpus, gpu_libraries, nvml_processes
from tests.support.postgres import postgres_server, postgres_url, running_postgres

__all__ = [
    "fake_gpus",
    "gpu_libraries",
    "nvml_processes",
    "postgres_server",
    "postgres_url",
    "running_postgres",
]

IN_MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30


def pytest_configure() -> None:
    """Temporary folders in memory where there is room for them: every transaction of a store waits for its
    disk. A name of its own for the lease of the machine, so that tests wait for no other measurement.
    Compiled files: tests start many processes, each of which would compile the harness again. Options for
    this pytest are not for those that tests start. And no test of random examples fails because the machine
    is slow.
    """
    hypothesis.settings.register_profile("patient", deadline=None)
    hypothesis.settings.load_profile("patient")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("PYTEST_ADDOPTS", None)
    lease.NAME = f"{lease.NAME}-tests-{os.getpid()}"
    if not IN_MEMORY.is_dir() or not os.access(IN_MEMORY, os.W_OK | os.X_OK):
        return
    executable = not os.statvfs(IN_MEMORY).f_flag & os.ST_NOEXEC  # for libraries that tests compile
    if executable and shutil.disk_usage(IN_MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


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

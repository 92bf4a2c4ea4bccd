"""The run that all others are compared with."""

from __future__ import annotations

import fcntl
import os
import pickle
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.end_to_end.in_process import InProcess
from tests.end_to_end.workplace import RUN, Exact, Workplace

NewWorkplace = Callable[[], Workplace]
PICKLED = "base-run.pickle"


@dataclass(frozen=True)
class BaseRun:
    """A run that nothing disturbed."""

    workplace: Workplace
    done: subprocess.CompletedProcess[str]
    exact: Exact


@pytest.fixture(scope="session")
def base_run(
    tmp_path_factory: pytest.TempPathFactory, corpus_cache: Path, code: Path, new_workplace: NewWorkplace
) -> BaseRun:
    """One run for all processes that share the tests; each gets a copy of what it left."""
    mine = tmp_path_factory.getbasetemp()
    shared = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine
    folder = shared / "base-run"
    with (shared / "base-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            workplace = new_workplace()
            done = workplace.harness(*RUN, "-v")
            first = BaseRun(workplace.copied(folder), done, workplace.exact())
            (folder / PICKLED).write_bytes(pickle.dumps(first))
    made: BaseRun = pickle.loads((folder / PICKLED).read_bytes())
    workplace = replace(made.workplace, cache=corpus_cache, code=code)
    return replace(made, workplace=workplace.copied(tmp_path_factory.mktemp("base") / "place"))


@pytest.fixture
def in_process(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Commands run in this process here, and so do their trials: fork servers would take most of the time.
    A trial looks at few matrix products for the peak of the machine, which no verdict on these tests' claims
    depends on.
    """
    monkeypatch.setattr("harness.machine.matmul.ENOUGH_SECONDS", 0.0)
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    monkeypatch.setattr("harness.report.build.write_report", lambda _, path: path.touch())
    return workplace

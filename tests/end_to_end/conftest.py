"""The run that all others are compared with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.end_to_end.in_process import InProcess
from tests.end_to_end.workplace import RUN, Exact, Workplace


@dataclass(frozen=True)
class BaseRun:
    """A run that nothing disturbed."""

    workplace: Workplace
    done: subprocess.CompletedProcess[str]
    exact: Exact


@pytest.fixture(scope="session")
def base_run(new_workplace: Callable[[], Workplace]) -> BaseRun:
    workplace = new_workplace()
    done = workplace.harness(*RUN, "-v")
    return BaseRun(workplace, done, workplace.exact())


@pytest.fixture
def in_process(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Commands run in this process here, and so do their trials: fork servers would take most of the time."""
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    monkeypatch.setattr("harness.report.build.write_report", lambda _, path: path.touch())
    return workplace

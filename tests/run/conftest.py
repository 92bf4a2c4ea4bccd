"""The run that all others are compared with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.run.workplace import RUN, Exact, Workplace


@dataclass(frozen=True)
class BaseRun:
    """A run that nothing disturbed."""

    place: Workplace
    done: subprocess.CompletedProcess[str]
    exact: Exact


@pytest.fixture(scope="session")
def base_run(new_workplace: Callable[[], Workplace]) -> BaseRun:
    place = new_workplace()
    done = place.harness(*RUN, "-v")
    return BaseRun(place, done, place.exact())

"""A trial that measures something tiny, and backends whose workers meet a fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

import pytest

from harness.config import digest
from harness.models.init import build_model
from harness.run.backends.local import LocalBackend, LocalHandle
from harness.run.job import Job
from harness.study.planning.plan import plan
from harness.tasks.generate import Generate
from harness.telemetry.nvml import NvmlReader
from harness.training.checkpoint import save_checkpoint
from tests.end_to_end.workplace import DEADLINE_S, Workplace

STEPS = {"name": "worker", "task": "generate", "metric": "cache_bytes"}


@pytest.fixture(scope="module")
def workplace(new_workplace: Callable[[], Workplace]) -> Workplace:
    return new_workplace()


@pytest.fixture(scope="module")
def job(workplace: Workplace) -> Job:
    """A measurement whose model is there, though nobody trained it."""
    spec = next(spec for spec in plan(workplace.loaded()).rounds[0] if spec.arm == "cache=dynamic")
    task = Generate.read(spec.config)
    folder = workplace.folder / "model"
    save_checkpoint(folder, build_model(task.model.train.model, 0), {})
    return Job(spec=spec, events="", checkpoints={digest(task.model.train.plain()): str(folder)}, threads=1)


@pytest.fixture
def backend(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LocalBackend]]:
    """Makes one backend, whose workers meet a fault if one is given."""
    made: list[LocalBackend] = []

    def make(fault: dict[str, Any] | None = None) -> LocalBackend:
        for name, value in workplace.environment(fault).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(workplace.folder)  # which has packages with our packages' names
        made.append(LocalBackend(nvml=NvmlReader()))
        return made[0]

    yield make
    for backend in made:
        backend.close()


def wait_until_met(workplace: Workplace, name: str, handle: LocalHandle, *, times: int = 1) -> None:
    wait_until(lambda: workplace.met(name) >= times, handle)


def wait_until(condition: Callable[[], bool], handle: LocalHandle) -> None:
    """Wait while the trial runs. It must not end meanwhile."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        ended, _ = wait([handle.future], timeout=0.02)
        assert not ended
        assert time.monotonic() < deadline

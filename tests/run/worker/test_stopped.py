"""A real worker that somebody stops, beside one that only sleeps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.config import digest
from harness.models.init import build_model
from harness.run.attempts import _noted
from harness.run.backends.base import Finished
from harness.run.backends.local import LocalBackend, LocalHandle
from harness.run.job import Job
from harness.store.void import DISTURBED
from harness.study.planning.plan import plan
from harness.tasks.generate import Generate
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.process_sampler import TelemetrySample, _ProcessLook
from harness.training.checkpoint import save_checkpoint
from tests.end_to_end.workplace import DEADLINE_S, Workplace

FAULT = {"name": "asleep", "task": "generate", "metric": "first_token_seconds", "act": "sleep", "times": 2}


@pytest.fixture
def workplace(new_workplace: Callable[[], Workplace]) -> Workplace:
    return new_workplace()


@pytest.fixture
def job(workplace: Workplace) -> Job:
    spec = next(spec for spec in plan(workplace.loaded()).rounds[0] if spec.arm == "cache=dynamic")
    task = Generate.read(spec.config)
    folder = workplace.folder / "model"
    save_checkpoint(folder, build_model(task.model.train.model, 0), {})
    return Job(spec=spec, events="", checkpoints={digest(task.model.train.plain()): str(folder)}, threads=1)


@pytest.fixture
def woken(tmp_path: Path) -> Path:
    """The trials sleep until this file exists."""
    return tmp_path / "woken"


@pytest.fixture
def backend(workplace: Workplace, woken: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBackend]:
    for name, value in workplace.environment({**FAULT, "until": str(woken)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workplace.folder)
    with LocalBackend(nvml=NvmlReader()) as here:
        yield here


class Seen:
    """Waits until a sample of telemetry shows a state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._states: list[str | None] = []
        self._new = threading.Condition()
        sample = _ProcessLook.sample

        def noted(look: _ProcessLook) -> TelemetrySample:
            made = sample(look)
            with self._new:
                self._states.append(made.state)
                self._new.notify_all()
            return made

        monkeypatch.setattr(_ProcessLook, "sample", noted)

    def wait_for(self, state: str) -> None:
        with self._new:
            self._states.clear()
            assert self._new.wait_for(lambda: state in self._states, timeout=DEADLINE_S)


def on_a_quiet_host(result: Finished) -> Finished:
    telemetry = tuple(replace(sample, other_cpu_percent=0.0) for sample in result.telemetry)
    return replace(result, telemetry=telemetry)


def test_a_stopped_worker_is_disturbed_and_a_sleeping_one_is_not(
    backend: LocalBackend, job: Job, woken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)

    def ended(handle: LocalHandle) -> str:
        """Wake the trial. What disturbed it, when it has ended."""
        woken.touch()
        result = handle.future.result(timeout=DEADLINE_S)
        assert result.outcome.status == "finished"
        woken.unlink()
        return str(_noted(job, on_a_quiet_host(result)).notes.get(DISTURBED, ""))

    handle = backend.submit(job)
    seen.wait_for("sleeping")
    server = psutil.Process(handle.pid).parent()
    assert server is not None
    server.suspend()  # it only waits for the trial, which goes on and ends
    woken.touch()
    while psutil.Process(handle.pid).status() != psutil.STATUS_ZOMBIE:
        assert not handle.future.done()
    server.resume()
    assert ended(handle) == ""

    handle = backend.submit(job)
    for _ in range(2):
        seen.wait_for("sleeping")
        os.kill(handle.pid, signal.SIGSTOP)
        seen.wait_for("stopped")
        os.kill(handle.pid, signal.SIGCONT)
    seen.wait_for("sleeping")
    cause = ended(handle)
    assert cause.startswith("a signal or a debugger stopped the trial for ")
    assert cause.endswith(" in 2 stops")

"""Workers that submitit starts as processes of this machine, and a driver that uses them as jobs of Slurm."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import InputError
from harness.run.backends import slurm_cluster
from harness.run.backends.base import Backend
from harness.run.backends.node_facts import facts_of_this_machine
from harness.run.backends.slurm_settings import SlurmSettings
from harness.run.job import Job
from harness.trial.causes import Cause
from tests.end_to_end.workplace import DEADLINE_S, LEAST, Workplace, until
from tests.run.backends.conformance import BackendConformance, alive, ended, wait_until
from tests.run.worker.conftest import STEPS

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'transformer-harness[slurm]'")
pytestmark = pytest.mark.slow

PROFILE = 'backend = "slurm"\n[slurm]\nexecutor = "local"\nmost_jobs = 2\n'

Opened = Callable[..., Backend]


@pytest.fixture
def open_backend(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    opened: list[Any] = []

    def make(fault: dict[str, Any] | None = None, most_jobs: int = 1) -> Backend:
        for name, value in workplace.environment(fault).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(workplace.folder)  # which has packages with our packages' names
        settings = SlurmSettings(executor="local", most_jobs=most_jobs)
        opened.append(settings.opened(gpu=None, results=workplace.folder / "results"))
        backend: Backend = opened[0].__enter__()
        return backend

    yield make
    for context in opened:
        context.__exit__(None, None, None)
    assert not (workplace.folder / "results").exists()  # nothing else has been written there


class TestSlurm(BackendConformance):
    @pytest.fixture
    def open_backend(self, open_backend: Opened) -> Opened:
        return open_backend


def worker_of(workplace: Workplace, name: str) -> psutil.Process:
    """The worker that runs the trial that met the fault last."""
    trial = psutil.Process(int((workplace.folder / f"met-{name}").read_text().splitlines()[-1]))
    return next(one for one in trial.parents() if "harness.run.backends.slurm_node" in one.cmdline())


def test_a_worker_that_is_killed_means_a_lost_attempt_and_another_worker(
    workplace: Workplace, job: Job, open_backend: Opened
) -> None:
    backend = open_backend({**STEPS, "name": "killed", "act": "hang"})
    backend.begin_round()
    handle = backend.submit(job)
    wait_until(lambda: workplace.met("killed") > 0, handle)
    worker_of(workplace, "killed").kill()
    lost = handle.future.result(timeout=DEADLINE_S).outcome
    assert (lost.status, lost.cause) == ("lost", Cause.LOST_WORKER)
    assert "its process has ended" in str(lost.error)
    again = ended(backend, job).outcome
    assert again.status == "finished"
    assert again.notes["node"].keys() == {"host", "cpu", "gpu"}


def test_a_worker_that_slurm_ends_between_the_trials_of_a_round_breaks_the_round(
    workplace: Workplace, job: Job, open_backend: Opened
) -> None:
    """A round has one node. In the next round, another worker takes over."""
    go_on = workplace.folder / "go-on"
    backend = open_backend({**STEPS, "name": "between", "act": "sleep", "until": str(go_on)})
    backend.begin_round()
    handle = backend.submit(job)
    wait_until(lambda: workplace.met("between") > 0, handle)
    worker = worker_of(workplace, "between")
    go_on.touch()
    assert handle.future.result(timeout=DEADLINE_S).outcome.status == "finished"
    worker.send_signal(signal.SIGTERM)
    assert alive([worker.pid]) == []
    first, second = (ended(backend, job).outcome for _ in range(2))
    assert (first.status, second.status) == ("lost", "lost")
    assert "Slurm asked the worker to end (SIGTERM)" in str(first.error)
    assert second.error == "the node of this round was lost, and a round has one node"
    backend.begin_round()
    assert ended(backend, job).outcome.status == "finished"


def test_jobs_that_are_not_timed_run_at_the_same_time(
    workplace: Workplace, job: Job, open_backend: Opened
) -> None:
    go_on = workplace.folder / "both-run"
    fault = {**STEPS, "name": "both", "act": "sleep", "times": 2, "until": str(go_on)}
    backend = open_backend(fault, most_jobs=2)
    assert backend.slots == 2
    beside = job.model_copy(update={"side_by_side": True})
    handles = [backend.submit(beside) for _ in range(2)]
    wait_until(lambda: workplace.met("both") == 2, handles[0])
    go_on.touch()
    outcomes = [handle.future.result(timeout=DEADLINE_S).outcome for handle in handles]
    assert [outcome.status for outcome in outcomes] == ["finished", "finished"]


def test_a_node_with_other_code_is_refused_and_nothing_is_written(
    workplace: Workplace, open_backend: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = replace(facts_of_this_machine(), code="0" * 64)
    monkeypatch.setattr(slurm_cluster, "facts_of_this_machine", lambda: facts)
    with pytest.raises(InputError, match="is not that of this machine: its digest is"):
        open_backend()
    assert not (workplace.folder / "results").exists()


def test_a_folder_of_results_that_a_node_does_not_see_is_refused(
    open_backend: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(slurm_cluster, "nearest", lambda _: tmp_path / "only here")
    with pytest.raises(InputError, match=r"does not have the folder .*only here; --results must be on"):
        open_backend()


def test_a_worker_that_cannot_start_says_why(
    workplace: Workplace, open_backend: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.backends.slurm_jobs._WORKER", "harness.run.backends.no_such_module")
    with pytest.raises(InputError, match=r"no node can run trials: .*No module named"):
        open_backend()


def test_after_a_driver_was_killed_a_second_run_loses_nothing(
    new_workplace: Callable[[], Workplace], tmp_path: Path
) -> None:
    """What it had finished is not repeated, and its worker ends."""
    here, there = new_workplace(), new_workplace()
    assert here.harness(*LEAST).returncode == 0
    profile = tmp_path / "site.toml"
    profile.write_text(PROFILE)
    command = (*LEAST, "--profile", str(profile))
    with there.start(*command, fault={**STEPS, "name": "driver", "act": "hang", "skip": 1}) as driver:
        until(lambda: there.met("driver") > 1, driver)
        worker = worker_of(there, "driver")
        before = set(there.finished())
        driver.kill()
    again = there.harness(*command)
    assert again.returncode == 0, again.stderr
    assert there.exact() == here.exact()
    assert before <= set(there.finished())
    assert len(there.finished()) == len(set(there.finished()))
    assert alive([worker.pid]) == []
    assert list((there.folder / "results" / "slurm").glob("*")) == []

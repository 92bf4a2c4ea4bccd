"""The worker alone: one-shot and forked, noisy, crashing, orphaned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.run.backends.base import Finished
from harness.run.backends.local import LocalBackend
from harness.run.job import Job
from harness.study.planning.plan import plan
from harness.telemetry.nvml import NvmlReader
from harness.telemetry.rapl import PackageEnergy
from harness.trial.outcome import Outcome, read_events
from tests.end_to_end.workplace import Workplace, still_there
from tests.run.worker.conftest import STEPS, wait_until_met


def one_shot(
    workplace: Workplace, job: Job, folder: Path, *, noise: str = ""
) -> subprocess.CompletedProcess[str]:
    file = folder / "job.json"
    file.write_text(job.model_dump_json())
    (folder / "sitecustomize.py").write_text(noise)
    variables = workplace.environment()
    variables["PYTHONPATH"] = os.pathsep.join([str(folder), variables["PYTHONPATH"]])  # before `faults`
    return subprocess.run(
        [sys.executable, "-P", "-m", "harness.run.worker", str(file)],
        check=False,
        cwd=workplace.folder,
        env=variables,
        capture_output=True,
        text=True,
    )


def comparable(outcome: Outcome) -> dict[str, Any]:
    """What does not depend on how fast the machine was."""
    values = {
        (s.metric, s.step): s.value
        for s in outcome.samples
        if "seconds" not in s.metric and "second" not in s.metric
    }
    values.pop(("peak_rss_bytes", 0))
    return {"status": outcome.status, "values": values, "outputs": outcome.outputs, "spent": outcome.spent}


def test_one_shot_and_forked_tell_the_same(
    workplace: Workplace, job: Job, backend: Callable[..., LocalBackend], tmp_path: Path
) -> None:
    """In a folder with another `models` and `harness`; the one-shot worker prints on its standard output
    meanwhile. A check trial notes how many checks it made.
    """
    events = tmp_path / "events.jsonl"
    noisy = "import atexit; print('noise before', flush=True); atexit.register(print, 'noise after')"
    done = one_shot(workplace, job.model_copy(update={"events": str(events)}), tmp_path, noise=noisy)
    assert (done.returncode, done.stdout) == (0, "noise before\nnoise after\n"), done.stderr
    with events.open() as lines:
        alone = read_events(lines, died="it died")
    here = backend()
    forked = here.submit(job).future.result(timeout=60)
    assert alone.status == "finished"
    assert comparable(alone) == comparable(forked.outcome)
    assert alone.notes["threads"] == job.threads
    assert alone.notes.keys() == forked.outcome.notes.keys() - {"energy"} >= {"work_seconds", "steady"}
    assert forked.telemetry[0].rss_bytes > 0
    check = next(spec for spec in plan(workplace.loaded()).checks if spec.arm == "cache=dynamic")
    checked = here.submit(job.model_copy(update={"spec": check})).future.result(timeout=60).outcome
    assert checked.notes["checks"] == len(checked.checks) > 0


class Processor(PackageEnergy):
    """A processor that takes 40 W, and that every user may ask."""

    def __init__(self) -> None:
        self.reason, self._began = None, time.monotonic()

    def joules(self) -> float:
        return 40 * (time.monotonic() - self._began)


def test_the_energy_of_the_timed_work_is_measured_from_outside(
    job: Job, backend: Callable[..., LocalBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.telemetry.process_sampler.PackageEnergy", Processor)
    monkeypatch.setattr("harness.telemetry.energy.LEAST_SECONDS", 0.2)
    units = job.spec.model_copy(update={"config": {**job.spec.config, "units": 100}})
    result = backend().submit(job.model_copy(update={"spec": units})).future.result(timeout=60)
    values = {sample.metric: sample.value for sample in result.outcome.samples}
    timed, seconds = result.outcome.notes["timed"], result.telemetry[-1].t_seconds
    assert 0 < timed["begin"] < timed["end"] < seconds + 0.2
    assert timed["tokens"] == 100 * result.outcome.spent["new_tokens"]
    expected = 40 * (timed["end"] - timed["begin"]) / timed["tokens"]
    assert values["cpu_joules_per_token"] == pytest.approx(expected, rel=0.05)
    assert values["cpu_energy_joules"] == pytest.approx(40 * seconds, rel=0.05)
    assert result.outcome.notes["energy"]["gpu_energy_joules"] == result.nvml_reason


def test_noise_and_crashes_of_one_trial_are_not_those_of_the_next(
    workplace: Workplace, job: Job, backend: Callable[..., LocalBackend]
) -> None:
    """Three trials of one fork server: killed, failed, killed while silent. Each error is its own."""
    here = backend({**STEPS, "act": "kill", "times": 1})
    noisy = job.model_copy(update={"checkpoints": {}})  # the trial fails at once, and its traceback is kept
    results: list[Finished] = [here.submit(j).future.result(timeout=60) for j in (job, noisy, job)]
    killed, failed, fine = (result.outcome for result in results)
    assert (killed.status, killed.error) == ("lost", "the worker was killed by SIGKILL")
    assert killed.samples  # what it had said before
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.startswith("KeyError")
    assert "in checkpoint" in str(failed.traceback)
    assert fine.status == "finished"


def test_each_round_of_a_part_has_a_fork_server_of_its_own_and_parts_share_one(
    job: Job, backend: Callable[..., LocalBackend]
) -> None:
    others = {child.pid for child in psutil.Process().children()}
    here = backend()

    def server(*begin: Callable[[], None]) -> int:
        for call in begin:
            call()
        assert here.submit(job).future.result(timeout=60).outcome.status == "finished"
        [pid] = {child.pid for child in psutil.Process().children()} - others
        return pid

    checks = server(here.begin_part)
    first, second = server(here.begin_round), server(here.begin_round)
    next_part = server(here.begin_part, here.begin_round)
    assert checks == first
    assert first != second
    assert second == next_part


def test_a_fork_server_that_is_killed_fails_its_trial_and_is_replaced(
    workplace: Workplace, job: Job, backend: Callable[..., LocalBackend]
) -> None:
    here = backend({**STEPS, "name": "server", "act": "hang", "times": 1})
    handle = here.submit(job)
    wait_until_met(workplace, "server", handle)
    trial = psutil.Process(handle.pid)
    trial.parent().kill()  # type: ignore[union-attr]
    lost = handle.future.result(timeout=60).outcome
    assert (lost.status, lost.error) == ("lost", "the fork server was killed by SIGKILL")
    assert not still_there([trial])  # the kernel kills it with its parent
    assert here.submit(job).future.result(timeout=60).outcome.status == "finished"


def test_a_cancelled_trial_ends_and_a_closed_backend_leaves_no_process(
    workplace: Workplace, job: Job, backend: Callable[..., LocalBackend]
) -> None:
    others = set(
        psutil.Process().children(recursive=True)
    )  # a fork server of multiprocessing lives as long as the tests
    here = backend({**STEPS, "name": "cancel", "act": "hang", "times": 2})
    handle = here.submit(job)
    wait_until_met(workplace, "cancel", handle)
    handle.cancel(grace_s=5.0)
    cancelled = handle.future.result(timeout=0).outcome
    assert (cancelled.status, cancelled.error) == ("interrupted", "the driver stopped the trial")
    handle = here.submit(job)
    wait_until_met(workplace, "cancel", handle, times=2)
    processes = set(psutil.Process().children(recursive=True)) - others
    here.close()
    assert processes
    assert not still_there(list(processes))
    assert handle.future.result(timeout=0).outcome.status == "interrupted"


def test_a_trial_cancelled_while_its_server_starts_never_runs_to_its_end(
    workplace: Workplace, job: Job, backend: Callable[..., LocalBackend]
) -> None:
    handle = backend({**STEPS, "name": "early", "act": "hang"}).submit(job)
    handle.cancel(grace_s=30.0)
    assert handle.future.cancelled() or handle.future.result(timeout=0).outcome.status == "interrupted"


def test_a_worker_that_cannot_start_says_why(
    workplace: Workplace, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.errors import HarnessError

    broken = workplace.folder / "broken"
    (broken / "torch").mkdir(parents=True)
    (broken / "torch" / "__init__.py").write_text("raise ImportError('no torch today')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with LocalBackend(nvml=NvmlReader()) as here, pytest.raises(HarnessError, match="no torch today"):
        here.submit(job).future.result(timeout=60)


def test_a_job_goes_through_one_line_of_json(job: Job) -> None:
    line = job.model_dump_json()
    assert "\n" not in line
    assert Job.read(json.loads(line)) == job

"""Two trials at the same time on this machine: each has a slot with a fork server, and dies alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.programs.source_tree import SourceTree
from harness.run.backends.local import LocalBackend, LocalHandle
from harness.run.job import Job
from harness.run.processes import has_ended
from harness.tasks.command import Command
from harness.telemetry.nvml import NvmlReader
from harness.trial.causes import Cause
from harness.trial.spec import TrialSpec
from tests.end_to_end.workplace import DEADLINE_S


class Gate:
    """Trials that say in a file that they have begun, and end when another file is there."""

    def __init__(self, folder: Path, backend: LocalBackend) -> None:
        self.folder, self.backend = folder, backend
        (folder / "program").mkdir()
        (folder / "program/data.txt").write_text("data")
        self._tree = SourceTree.read(folder / "program")
        self._tree.store(folder / "sources")

    def submit(self, seed: int) -> LocalHandle:
        value = 'echo \'{{"metric": "loss", "value": 1}}\''
        script = (
            f"touch {self.folder}/began-{seed}; until [ -e {self.folder}/go ]; do sleep 0.01; done; {value}"
        )
        config = {
            "command": ["/bin/sh", "-c", script],
            "source": self._tree.digest,
            "values": {"loss": {"kind": "json-lines"}},
        }
        spec = TrialSpec(
            purpose="measure",
            task="command",
            arm="a",
            condition={},
            seed=seed,
            round=1,
            config=Command.read(config).plain(),
        )
        sources = str(self.folder / "sources")
        return self.backend.submit(
            Job(spec=spec, events="", checkpoints={}, threads=1, side_by_side=True, sources=sources)
        )

    def began(self, seed: int) -> bool:
        return (self.folder / f"began-{seed}").exists()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def open(self) -> None:
        (self.folder / "go").touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with LocalBackend(nvml=NvmlReader(), slots=2) as backend:
        yield Gate(tmp_path, backend)


def test_as_many_trials_run_as_there_are_slots(gate: Gate) -> None:
    handles = [gate.submit(seed) for seed in range(3)]
    gate.wait_for(lambda: gate.began(0) and gate.began(1))
    assert handles[2].pid == 0, "the third one waits for a slot"
    gate.open()
    outcomes = [handle.future.result(timeout=DEADLINE_S).outcome for handle in handles]
    assert [outcome.status for outcome in outcomes] == ["finished"] * 3
    assert {sample.metric for outcome in outcomes for sample in outcome.samples} == {"loss"}


def test_a_trial_whose_server_is_killed_takes_no_other_with_it(gate: Gate) -> None:
    first, second = gate.submit(0), gate.submit(1)
    gate.wait_for(lambda: gate.began(0) and gate.began(1))
    trial = psutil.Process(first.pid)
    server = trial.parent()
    assert server is not None
    server.kill()
    lost = first.future.result(timeout=DEADLINE_S).outcome
    assert (lost.status, lost.cause) == ("lost", Cause.LOST_WORKER)
    assert has_ended(trial)
    assert not second.future.done()
    gate.open()
    assert second.future.result(timeout=DEADLINE_S).outcome.status == "finished"
    assert gate.submit(2).future.result(timeout=DEADLINE_S).outcome.status == "finished"


def test_a_backend_that_is_closed_ends_all_its_trials(gate: Gate) -> None:
    handles = [gate.submit(seed) for seed in range(3)]
    gate.wait_for(lambda: gate.began(0) and gate.began(1))
    trials = [psutil.Process(handle.pid) for handle in handles[:2]]
    gate.backend.close()
    assert all(map(has_ended, trials))
    assert not gate.began(2)


def test_trials_after_one_another_share_one_server(gate: Gate) -> None:
    """So timed trials have what they had when there was one slot."""
    gate.open()
    others = {child.pid for child in psutil.Process().children()}
    for seed in range(3):
        assert gate.submit(seed).future.result(timeout=DEADLINE_S).outcome.status == "finished"
    assert len({child.pid for child in psutil.Process().children()} - others) == 1

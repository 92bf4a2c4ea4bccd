"""When a job of Slurm has ended: recorded answers of squeue and sacct, printed by programs of these names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.run.backends.slurm_states import JobEnd, SlurmStates, ends_in_accounting, states_in_queue
from harness.trial.causes import Cause

QUEUE = """\
4711 RUNNING
4712 PENDING
4713_[1-8] PENDING
4714_2 COMPLETING
"""
ACCOUNTING = """\
4711|COMPLETED|0:0
4711.batch|COMPLETED|0:0
4712|CANCELLED by 1000|0:15
4712.batch|CANCELLED|0:15
4713|FAILED|1:0
4714|OUT_OF_MEMORY|0:125
4715|NODE_FAIL|1:0
4716|PREEMPTED|0:0
4717|TIMEOUT|0:0
4718|RUNNING|0:0
4719|REQUEUED|0:0
4720|FANCY_NEW_STATE|0:0
4721|BOOT_FAIL|0:0
"""


class RecordedSlurm:
    """Programs named squeue and sacct that print what a test says, or fail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answers(self, name: str, text: str | None) -> None:
        program = self._folder / name
        body = "exit 1" if text is None else f"cat <<'END'\n{text}END"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o700)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedSlurm:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    recorded = RecordedSlurm(tmp_path)
    recorded.answers("sacct", "")
    return recorded


@pytest.fixture
def states() -> SlurmStates:
    states = SlurmStates("me", pause_s=0.0)
    states.watch("7")
    return states


def test_an_answer_of_squeue_has_a_state_for_each_job() -> None:
    expected = {"4711": "RUNNING", "4712": "PENDING", "4713_[1-8]": "PENDING", "4714_2": "COMPLETING"}
    assert states_in_queue(QUEUE) == expected
    assert states_in_queue("slurm_load_jobs error: Unable to contact slurm controller\n") == {}


def test_an_answer_of_sacct_has_only_what_is_final_and_is_no_step() -> None:
    ends = ends_in_accounting(ACCOUNTING)
    assert {job: end.cause for job, end in ends.items()} == {
        "4711": Cause.LOST_WORKER,
        "4712": Cause.KILLED,
        "4713": Cause.LOST_WORKER,
        "4714": Cause.HOST_MEMORY,
        "4715": Cause.LOST_WORKER,
        "4716": Cause.LOST_WORKER,
        "4717": Cause.LOST_WORKER,
        "4721": Cause.LOST_WORKER,
    }
    assert ends["4713"].text == "it failed with the exit code 1:0"
    assert all(end.cause.transient for end in ends.values())  # the driver makes another attempt


@pytest.mark.parametrize(
    "state",
    ["PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "PREEMPTED", "NEW_STATE"],
)
def test_no_state_of_a_job_that_is_listed_and_may_go_on_is_an_end(
    slurm: RecordedSlurm, states: SlurmStates, state: str
) -> None:
    slurm.answers("squeue", f"7 {state}\n")
    slurm.answers("sacct", "7|PREEMPTED|0:0\n")  # of its life before
    assert [states.end_of("7") for _ in range(40)] == [None] * 40


def test_a_final_state_that_is_still_listed_is_an_end(slurm: RecordedSlurm, states: SlurmStates) -> None:
    slurm.answers("squeue", "7 OUT_OF_MEMORY\n")
    assert states.end_of("7") == JobEnd(Cause.HOST_MEMORY, "it needed more memory than it had")


def test_preempted_is_an_end_when_the_queue_lists_the_job_no_more(
    slurm: RecordedSlurm, states: SlurmStates
) -> None:
    slurm.answers("squeue", "7 PREEMPTED\n")
    slurm.answers("sacct", "7|PREEMPTED|0:0\n")
    assert states.end_of("7") is None
    slurm.answers("squeue", "8 RUNNING\n")
    assert states.end_of("7") == JobEnd(Cause.LOST_WORKER, "it was preempted")


def test_a_job_that_waits_again_has_lost_its_worker(slurm: RecordedSlurm, states: SlurmStates) -> None:
    """It keeps its id. That it waits says nothing before it has run."""
    for state in ("PENDING", "RUNNING", "COMPLETING"):
        slurm.answers("squeue", f"7 {state}\n")
        assert states.end_of("7") is None
    slurm.answers("squeue", "7 PENDING\n")
    assert states.end_of("7") == JobEnd(Cause.LOST_WORKER, "it was preempted and requeued")


def test_nothing_is_known_while_the_controller_is_away(slurm: RecordedSlurm, states: SlurmStates) -> None:
    slurm.answers("squeue", None)
    slurm.answers("sacct", "7|COMPLETED|0:0\n")
    assert [states.end_of("7") for _ in range(40)] == [None] * 40


def test_without_accounting_a_job_that_the_queue_has_forgotten_ends_after_many_answers(
    slurm: RecordedSlurm, states: SlurmStates
) -> None:
    slurm.answers("sacct", None)
    slurm.answers("squeue", "")
    assert [states.end_of("7") for _ in range(29)] == [None] * 29
    slurm.answers("squeue", "7 RUNNING\n")
    assert states.end_of("7") is None
    slurm.answers("squeue", "")
    assert [states.end_of("7") for _ in range(29)] == [None] * 29
    assert states.end_of("7") == JobEnd(Cause.LOST_WORKER, "Slurm does not know it any more")

"""A driver in a real control group whose memory runs out."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection

import pytest

from harness.run.backends.local import LocalBackend
from harness.run.backends.memory_group import MemoryGroup
from harness.run.job import Job, TrialLimits
from harness.telemetry.nvml import NvmlReader
from harness.trial.causes import Cause
from tests.end_to_end.workplace import Workplace
from tests.run.worker.conftest import STEPS

LIMIT = 2**30


def _run_two_trials(group: MemoryGroup, variables: dict[str, str], job: Job, answer: Connection) -> None:
    """Be the driver: hold half of the group's memory and tell how two trials ended."""
    group.add(os.getpid())
    os.environ.update(variables)
    held = b"x" * (LIMIT // 2)
    backend = LocalBackend(nvml=NvmlReader())
    outcomes = [backend.submit(job).future.result(timeout=60).outcome for _ in range(2)]
    backend.close()
    answer.send((len(held), [(outcome.status, outcome.cause, outcome.error) for outcome in outcomes]))


@pytest.mark.parametrize(
    "has_group",
    [
        pytest.param(False, id="in the group of the driver"),
        pytest.param(True, id="in a group of its own", marks=pytest.mark.slow),
    ],
)
def test_the_kernel_ends_the_trial_and_neither_its_driver_nor_the_next_trial(
    workplace: Workplace, job: Job, *, has_group: bool
) -> None:
    """Though the driver has more memory than the trial. The trial does not reach its own limit.

    The driver is a new process: one that was forked here would have all the memory of the tests before.
    """
    group = MemoryGroup.with_limit(LIMIT)
    if group is None:
        pytest.skip("this machine lets us make no control group with a limit of memory")
    variables = workplace.environment({**STEPS, "name": f"host memory {has_group}", "act": ["allocate"]})
    if has_group:
        limits = TrialLimits(
            seconds=60.0, memory_bytes=2 * LIMIT, output_bytes=2**20, idle_seconds=60.0, memory_group=True
        )
        job = job.model_copy(update={"limits": limits})
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    driver = context.Process(target=_run_two_trials, args=(group, variables, job, writer))
    driver.start()
    writer.close()
    driver.join(120)
    assert driver.exitcode == 0
    group.remove()
    held, ends = reader.recv()
    assert held == LIMIT // 2
    error = "the worker was killed by SIGKILL, because the host had no more memory"
    assert ends == [("lost", Cause.HOST_MEMORY, error), ("finished", None, None)]

"""A driver in a real control group whose memory runs out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from harness.run.backends.local import LocalBackend
from harness.run.backends.memory_group import MemoryGroup
from harness.run.job import Job
from harness.trial.causes import Cause
from tests.run.worker.conftest import STEPS

LIMIT = 2**30


def test_the_kernel_ends_the_trial_and_neither_its_driver_nor_the_next_trial(
    job: Job, backend: Callable[..., LocalBackend]
) -> None:
    """Though the driver has more memory than the trial."""
    group = MemoryGroup.with_limit(LIMIT)
    if group is None:
        pytest.skip("this machine lets us make no control group with a limit of memory")
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            group.add(os.getpid())
            held = b"x" * (LIMIT // 2)
            here = backend({**STEPS, "name": "host memory", "act": ["allocate"]})
            outcomes = [here.submit(job).future.result(timeout=60).outcome for _ in range(2)]
            here.close()
            ends = [(outcome.status, outcome.cause, outcome.error) for outcome in outcomes]
            os.write(writer, json.dumps([len(held), *ends]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    group.remove()
    _, first, second = json.loads(said)
    error = "the worker was killed by SIGKILL, because the host had no more memory"
    assert first == ["lost", Cause.HOST_MEMORY, error]
    assert second == ["finished", None, None]

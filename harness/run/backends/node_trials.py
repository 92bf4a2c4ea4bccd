"""What runs on a node of a cluster: trials of one driver, one at a time, by the backend of that machine.

A trial has a process of its own there, with the same limits and the same telemetry as on the driver's
machine. Nothing here writes to the store: what a trial gave goes back to the driver.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import replace

from harness.errors import InputError
from harness.machine.visible_gpus import visible_gpus
from harness.run.backends.base import Finished
from harness.run.backends.local import LocalBackend, LocalHandle
from harness.run.backends.node_facts import (
    NodeFacts,
    Variables,
    check_folders,
    facts_of_this_machine,
    set_variables,
)
from harness.run.job import Job
from harness.telemetry.nvml import NvmlReader
from harness.trial.outcome import NODE, Sample


class NodeTrials:
    """The trials of one actor. Several calls may come at once, but one trial runs at a time."""

    def __init__(self, variables: Variables, working_folder: str) -> None:
        set_variables(variables)
        self._facts = facts_of_this_machine()
        with contextlib.suppress(OSError):  # trials say which folder they miss
            os.chdir(working_folder)
        self._nvml = NvmlReader()
        self._backend = LocalBackend(nvml=self._nvml, slots=1)
        self._handle: LocalHandle | None = None
        self._changing = threading.Lock()
        self._number = self._cancelled = 0  # of the newest job, and of the job that is to end

    def facts(self) -> NodeFacts:
        return self._facts

    def run(self, number: int, job_text: str, folders: Sequence[str]) -> Finished:
        """Run a job to its end. `number` counts the jobs of this actor from 1. `folders` must exist here.

        Raises InputError if one is missing, or if the job needs a GPU and there is none.
        """
        check_folders(folders, self._facts.host)
        job = Job.read(json.loads(job_text))
        if job.gpu is not None:
            job = job.model_copy(update={"gpu": assigned_gpu(self._nvml, self._facts.host)})
        with self._changing:
            handle = self._handle = self._backend.submit(job)
            self._number = number
            is_cancelled = self._cancelled == number
        if is_cancelled:
            handle.cancel(grace_s=0.0)
        finished = handle.future.result()
        where = {"host": self._facts.host, "cpu": self._facts.cpu, "gpu": job.gpu}
        outcome = replace(finished.outcome, notes={**finished.outcome.notes, NODE: where})
        return replace(finished, outcome=outcome)

    def new_samples(self) -> list[Sample]:
        return [] if self._handle is None else self._handle.new_samples()

    def last_samples(self) -> list[Sample]:
        return [] if self._handle is None else self._handle.last_samples()

    def cancel(self, number: int, grace_s: float) -> None:
        """Ask the trial of this job to end, and kill it after `grace_s` seconds. It may not have begun."""
        with self._changing:
            self._cancelled = number
            handle = self._handle if self._number == number else None
        if handle is not None:
            handle.cancel(grace_s)

    def close(self) -> None:
        """End everything that this actor has started."""
        self._backend.close()
        self._nvml.close()


def assigned_gpu(nvml: NvmlReader, host: str) -> str:
    """The UUID of the GPU that the cluster has given to this process, by CUDA_VISIBLE_DEVICES."""
    uuids = visible_gpus(nvml.gpus())
    if not uuids:
        reason = nvml.reason or "the cluster has given none to the trial"
        raise InputError(f"the node {host} has no GPU that can be used: {reason}")
    return uuids[0]

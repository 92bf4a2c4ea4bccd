"""What runs on a node of a Ray cluster: trials of one driver, one at a time, by the backend of that machine.

A trial has a process of its own there, with the same limits and the same telemetry as on the driver's
machine. Nothing here writes to the store: what a trial gave goes back to the driver.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InputError
from harness.machine.code_digest import code_digests
from harness.machine.environment import environment, usable_cores
from harness.machine.visible_gpus import visible_gpus
from harness.run.backends.base import Finished
from harness.run.backends.local import LocalBackend, LocalHandle
from harness.run.job import Job
from harness.telemetry.nvml import NvmlReader
from harness.trial.outcome import NODE, Sample

Variables = Mapping[str, str | None]
"""Environment variables of the driver; None for one that it does not have."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What must be alike on all machines: the digest of the code that measures, and the versions of Python
    and of the packages that matter. `cores` are those that trials may use.
    """

    host: str
    cpu: str
    code: str
    software: dict[str, str]
    cores: int


def facts_of_this_machine() -> NodeFacts:
    here = environment()
    return NodeFacts(
        host=socket.gethostname(),
        cpu=here.cpu,
        code=code_digests().measuring,
        software={"Python": platform.python_version(), **here.packages},
        cores=usable_cores(),
    )


def node_facts(variables: Variables, folder: str) -> NodeFacts:
    """The facts of a node, in a process with these variables. The plug-ins that they name count.

    Raises InputError if the node does not have the folder.
    """
    set_variables(variables)
    facts = facts_of_this_machine()
    check_folders([folder], facts.host)
    return facts


def set_variables(variables: Variables) -> None:
    """Set the variables of this process, and with them those of its trials. Ray has set some itself."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class NodeTrials:
    """The actor on a node. Several calls may come at once, but one trial runs at a time."""

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


def check_folders(folders: Sequence[str], host: str) -> None:
    """Raises InputError if a folder of the driver is not on this machine."""
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError(
                f"the node {host} does not have the folder {folder}",
                hint="--results must be on a file system that all nodes share",
            )


def assigned_gpu(nvml: NvmlReader, host: str) -> str:
    """The UUID of the GPU that Ray has given to this process, by CUDA_VISIBLE_DEVICES."""
    uuids = visible_gpus(nvml.gpus())
    if not uuids:
        raise InputError(f"the node {host} has no GPU that can be used: {nvml.reason or 'Ray gave none'}")
    return uuids[0]

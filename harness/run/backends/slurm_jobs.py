"""Workers are started with submitit, as jobs of Slurm or, to try a profile, as processes of this machine."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.run.backends.cluster import Need
from harness.run.backends.slurm_profile import SlurmProfile
from harness.run.backends.slurm_states import JobEnd, SlurmStates, cancel_jobs
from harness.trial.causes import Cause

_WORKER = "harness.run.backends.slurm_node"


def submitit_library() -> Any:
    """The library submitit. Raises InputError if it is not installed."""
    try:
        import submitit
    except ImportError:
        raise InputError(
            "the backend slurm needs the library submitit, which is not installed",
            hint="pip install 'transformer-harness[slurm]'",
        ) from None
    return submitit


class WorkerJobs(ABC):
    """The jobs of one driver. Several threads may call it."""

    def __init__(self, settings: SlurmProfile, executor: Any) -> None:
        self._settings, self._executor = settings, executor
        self._submitting = threading.Lock()

    def submit(self, need: Need, folder: Path) -> str:
        """Submit a job for a worker with this folder. Returns the id of the job. Raises InputError with what
        Slurm says if it is refused.

        The job replaces the process of submitit by the worker. So nothing of submitit decides what happens if
        Slurm sends a signal: it would take every early one for a preemption, and requeue the job.
        """
        # -P: modules in the working directory are not those of the harness
        command = [sys.executable, "-P", "-m", _WORKER, str(folder)]
        with self._submitting:
            self._executor.update_parameters(**self._parameters(need))
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # submitit also prints what sbatch says
                    job = self._executor.submit(os.execv, command[0], command)
            except (RuntimeError, OSError) as error:
                raise InputError(
                    f"the job of a worker cannot be submitted: {_one_line(error)}",
                    hint="the table [slurm] of the profile says what is asked for",
                ) from None
            self._submitted(job)
        return str(job.job_id)

    def log(self, job: str) -> Path:
        """The file with what the worker prints on standard error."""
        folder: Path = self._executor.folder
        return folder / f"{job}_0_log.err"

    @abstractmethod
    def end_of(self, job: str) -> JobEnd | None:
        """How the job has ended; None if it has not, or if nothing is known."""

    @abstractmethod
    def cancel(self, job: str) -> None:
        """End the job, whether it runs or waits."""

    @abstractmethod
    def _parameters(self, need: Need) -> Mapping[str, Any]: ...

    @abstractmethod
    def _submitted(self, job: Any) -> None: ...


class SlurmJobs(WorkerJobs):
    """Jobs of Slurm, all with one name, and with what the profile asks for."""

    def __init__(self, settings: SlurmProfile, folder: Path, name: str, user: str) -> None:
        super().__init__(settings, submitit_library().SlurmExecutor(folder=folder))
        self._name, self._states = name, SlurmStates(user)

    def end_of(self, job: str) -> JobEnd | None:
        return self._states.end_of(job)

    def cancel(self, job: str) -> None:
        cancel_jobs([job])

    def _parameters(self, need: Need) -> Mapping[str, Any]:
        """All parameters every time, because submitit keeps those of the job before."""
        settings = self._settings
        gres = ":".join(["gpu", *([settings.gpus] if settings.gpus else []), str(need.gpus)])
        return {
            "job_name": self._name,
            "partition": settings.partition,
            "account": settings.account,
            "qos": settings.qos,
            "time": settings.time,
            "mem": settings.memory,
            "gres": gres if need.gpus else None,
            "exclusive": True if settings.exclusive and need.alone else None,
            "nodes": 1,
            "ntasks_per_node": 1,
            "cpus_per_task": int(need.cpus),
            "use_srun": False,  # a step has all CPUs of its job only in some versions of Slurm
            "setup": list(settings.setup),
            "additional_parameters": dict(settings.options),
        }

    def _submitted(self, job: Any) -> None:
        self._states.watch(str(job.job_id))


class LocalJobs(WorkerJobs):
    """Processes of this machine. They have no limits but the time."""

    def __init__(self, settings: SlurmProfile, folder: Path) -> None:
        super().__init__(settings, submitit_library().LocalExecutor(folder=folder))
        self._jobs: dict[str, Any] = {}

    def end_of(self, job: str) -> JobEnd | None:
        return JobEnd(Cause.LOST_WORKER, "its process has ended") if self._jobs[job].done() else None

    def cancel(self, job: str) -> None:
        if not self._jobs[job].done():
            self._jobs[job].cancel()

    def _parameters(self, need: Need) -> Mapping[str, Any]:
        return {"timeout_min": self._settings.time, "gpus_per_node": need.gpus}

    def _submitted(self, job: Any) -> None:
        self._jobs[str(job.job_id)] = job


def _one_line(error: Exception) -> str:
    """What sbatch says, without its name before every line."""
    lines = [
        line.removeprefix("sbatch: ").removeprefix("error: ").strip() for line in str(error).splitlines()
    ]
    return ": ".join(line for line in lines if line) or type(error).__name__

"""Slurm as a source of actors: each one is a job with a worker, which has a folder on a shared file system.

A driver has one folder with those of its workers. It holds a file that changes as long as the driver lives,
so that no worker outlives it for long. It is removed in the end, or by a later driver after a kill.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Self

from harness.errors import InputError
from harness.machine.process_identity import ProcessIdentity
from harness.paths import nearest
from harness.run.backends.cluster import Need
from harness.run.backends.cluster_backend import gpus_for_job
from harness.run.backends.node_facts import facts_of_this_machine, sent_variables
from harness.run.backends.slurm_actor import SlurmActor
from harness.run.backends.slurm_jobs import LocalJobs, SlurmJobs, WorkerJobs
from harness.run.backends.slurm_mailbox import HEARTBEAT, START, Mailbox
from harness.run.backends.slurm_profile import SlurmProfile
from harness.run.backends.slurm_states import cancel_jobs
from harness.run.job import Job
from harness.run.scratch import remove_tree

PATIENCE_S = 300.0
"""How long a worker waits for a sign of life of its driver."""

_BEAT_S = 10.0
_OWNER = "driver"
_PREFIX = "harness-"
_COMMANDS = ("sbatch", "squeue", "scancel", "srun")  # submitit looks for srun


class SlurmCluster:
    """The cluster whose commands this machine has. Use as a context manager."""

    def __init__(self, settings: SlurmProfile, results: Path) -> None:
        self._settings = settings
        self._results = results.absolute()
        self._base = Path(settings.folder or self._results / "slurm").absolute()
        self._there_before = nearest(self._base)
        self._variables = sent_variables()
        self._numbers = itertools.count(1)
        self._ending = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="slurm-heartbeat", daemon=True)
        self._folder: Path
        self._jobs: WorkerJobs
        self.here = facts_of_this_machine()
        self.slots = settings.most_jobs

    def __enter__(self) -> Self:
        is_slurm = self._settings.executor == "slurm"
        if is_slurm:
            _check_commands()
        with self._removed_after_an_error():
            self._folder = self._new_folder()
            _remove_folders_of_the_dead(self._base, is_slurm=is_slurm)
            logs = self._folder / "submitit"
            if is_slurm:
                self._jobs = SlurmJobs(self._settings, logs, self._folder.name, getpass.getuser())
            else:
                self._jobs = LocalJobs(self._settings, logs)
            self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        """All actors have been closed."""
        self._ending.set()
        self._heart.join()
        self._remove_folders()

    def first_need(self, gpu: str | None) -> Need:
        """What an actor needs to run one trial of any kind alone."""
        return Need(cpus=self.here.cores, gpus=0 if gpu is None else 1, alone=True)

    def need_for(self, job: Job) -> Need:
        cpus = job.threads if job.side_by_side else self.here.cores
        return Need(cpus=cpus, gpus=gpus_for_job(job), alone=not job.side_by_side)

    def start(self, need: Need) -> SlurmActor:
        box = Mailbox(self._folder / f"worker-{next(self._numbers)}")
        box.folder.mkdir(mode=0o700)
        start = {
            "variables": self._variables,
            "folder": str(Path.cwd()),
            "results": str(nearest(self._results)),
            "patience_s": PATIENCE_S,
        }
        box.put(START, start)
        return SlurmActor(need, box, self._jobs)

    def _new_folder(self) -> Path:
        try:
            self._base.mkdir(parents=True, exist_ok=True)
            name = f"{_PREFIX}{socket.gethostname()}-"
            folder = Path(tempfile.mkdtemp(prefix=name, dir=self._base))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"no folder can be made in {self._base}: {reason}") from None
        Mailbox(folder).put(_OWNER, asdict(ProcessIdentity.of_this_process()))
        return folder

    @contextlib.contextmanager
    def _removed_after_an_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._remove_folders()
            raise

    def _remove_folders(self) -> None:
        """The folder of this driver, and those above it that it made and that are empty now."""
        if hasattr(self, "_folder"):
            remove_tree(self._folder)
        for folder in (self._base, *self._base.parents):
            if folder == self._there_before:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def _beat(self) -> None:
        """Change the file that says that this driver lives, again and again."""
        box = Mailbox(self._folder)
        for number in itertools.count():
            with contextlib.suppress(OSError):  # the file system is away for a moment
                box.put(HEARTBEAT, number)
            if self._ending.wait(_BEAT_S):
                return


def _check_commands() -> None:
    """Raises InputError if a command of Slurm is missing."""
    for command in _COMMANDS:
        if shutil.which(command) is None:
            raise InputError(
                f"the backend slurm needs the command {command}, which is not on PATH",
                hint='start the run on a login node, or try it with executor = "local" in [slurm]',
            )


def _remove_folders_of_the_dead(base: Path, *, is_slurm: bool) -> None:
    """The folders of drivers of this machine that were killed, and their jobs. Those of other machines may
    live; their workers end by themselves if they do not.
    """
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError, TypeError):
            owner = ProcessIdentity(**json.loads((folder / _OWNER).read_bytes()))
            if owner.has_ended or owner.is_of_an_earlier_boot:
                if is_slurm:
                    cancel_jobs(["--name", folder.name])
                remove_tree(folder)

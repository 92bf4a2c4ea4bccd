"""What the driver sends to a worker, as one line of JSON."""

from __future__ import annotations

from functools import cached_property

from harness.config import Config
from harness.tasks.base import Task
from harness.tasks.registry import task_class
from harness.trial.spec import TrialSpec


class TrialLimits(Config):
    """What a trial may use: seconds, bytes of memory, bytes that it prints, and seconds without any result
    and without any use of a processor. With `memory_group`, the kernel enforces the limit of memory where it
    can.
    """

    seconds: float
    memory_bytes: int
    memory_group: bool = False
    output_bytes: int
    idle_seconds: float


class Job(Config):
    """A trial with everything that its worker must know.

    The worker writes to the file `events`, and what it prints goes to the file `log`. `checkpoints` maps the
    digest of a training's config to the folder of its model. `gpu` is the UUID of a GPU, or None for the CPU.
    What the trial writes goes to the folder `folder`, which it makes. `sources` has the files of programs.
    `plant` names a bug to plant, as `invariant/bug`. Trials with the same folder `shared` share their checks
    of tiny models (`harness.run.worker.tiny_checks`). Without `limits`, nothing ends the trial.
    With `side_by_side`, other trials run at the same time, so that times are not recorded.
    `plugins` is the digest of the plug-ins that the driver has (`harness.machine.code_digest`). `rank` is the
    number of one process of a trial that has several.
    """

    spec: TrialSpec
    events: str
    checkpoints: dict[str, str]
    threads: int
    gpu: str | None = None
    plant: str | None = None
    shared: str | None = None
    log: str | None = None
    folder: str = ""
    sources: str = ""
    limits: TrialLimits | None = None
    plugins: str = ""
    rank: int | None = None
    side_by_side: bool = False

    @cached_property
    def task(self) -> type[Task]:
        """The task of the trial. A trial that checks an invariant has the task of the arms that it checks.

        Raises InputError if there is no such task.
        """
        return task_class(self.spec.config["task"] if self.spec.purpose == "check" else self.spec.task)

    @property
    def device(self) -> str:
        return "cpu" if self.gpu is None else f"cuda:{self.rank or 0}"

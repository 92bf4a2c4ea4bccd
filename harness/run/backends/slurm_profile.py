"""What a site profile can say about a Slurm cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.config import FROM_LIST, Config


class SlurmProfile(Config):
    """How jobs are submitted. A job runs many trials, one after the other."""

    partition: str | None = None
    """The partition; by default, that of the site."""

    account: str | None = None
    """The account that pays."""

    qos: str | None = None
    """The quality of service."""

    time: int = Field(default=240, ge=1)
    """The time limit of a job in minutes. A trial must end within it; a longer job runs many trials."""

    memory: str | None = None
    """The memory of a job, as `--mem` of sbatch takes it: `16G`, or `0` for all memory of the node."""

    gpus: str | None = None
    """The type of GPU, such as `a100`, for runs on a GPU."""

    exclusive: bool = True
    """Whether a job that times trials has its node to itself."""

    most_jobs: int = Field(default=8, ge=1)
    """How many jobs may be in the queue or running at the same time."""

    setup: Annotated[tuple[str, ...], FROM_LIST] = ()
    """Lines of shell before the worker starts, such as `module load cuda`."""

    options: dict[str, str] = Field(default_factory=dict)
    """Further options of sbatch without their dashes, such as `reservation = "course"`."""

    folder: str | None = None
    """A folder that all nodes see, in which the driver and the jobs exchange files; by default `slurm` in the
    folder of the results.
    """

    executor: Literal["slurm", "local"] = "slurm"
    """`local` starts jobs as processes of this machine, to try a profile without Slurm."""

"""What a trial may use: its threads, and the limits at which it is ended."""

from __future__ import annotations

import psutil

from harness.machine.environment import usable_cores
from harness.run.job import TrialLimits
from harness.study.limits import DeclaredLimits
from harness.tasks.registry import task_class
from harness.telemetry.cgroup import Cgroup
from harness.trial.spec import Purpose, TrialSpec

FLOPS_PER_CORE = 2e10
"""A rough speed of small models on one core of a current CPU, right within a factor of three."""
SECONDS_PER_TRIAL, SECONDS_PER_CHECK = 0.2, 3.0

LEAST_SECONDS = 900.0
TIMES_THE_ESTIMATE = 30.0
SHARE_OF_MEMORY = 0.9


def worker_threads(purpose: Purpose, cores: int | None = None) -> int:
    """All cores, by default the usable ones, for the training of a shared model, which is not timed; one
    fewer for all other trials.

    Threads that wait for a core that another process uses make every operation up to 18 times slower.
    """
    usable = usable_cores() if cores is None else cores
    return usable if purpose == "train" else max(1, usable - 1)


def shared_threads(at_once: int, cores: int | None = None) -> int:
    """The threads of each of so many trials that run at the same time on the usable cores."""
    return max(1, (usable_cores() if cores is None else cores) // at_once)


def guessed_seconds(spec: TrialSpec, threads: int | None = None) -> float:
    """How long a trial takes, from its operation counts, by default with `worker_threads`."""
    if spec.purpose == "check":
        return SECONDS_PER_CHECK
    flops = task_class(spec.task).read(spec.config).flops()
    return SECONDS_PER_TRIAL + flops / (FLOPS_PER_CORE * (threads or worker_threads(spec.purpose)))


def limits_of(spec: TrialSpec, declared: DeclaredLimits, threads: int | None = None) -> TrialLimits:
    """The limits of a trial of a study that declares these, with so many threads."""
    longest = max(LEAST_SECONDS, TIMES_THE_ESTIMATE * guessed_seconds(spec, threads))
    seconds = declared.time or _time_limit(spec) or longest
    return TrialLimits(
        seconds=seconds,
        memory_bytes=declared.memory or int(SHARE_OF_MEMORY * _allowed_memory()),
        memory_group=declared.memory is not None,
        output_bytes=declared.output,
        idle_seconds=declared.idle,
    )


def _time_limit(spec: TrialSpec) -> float | None:
    """What the task itself says."""
    return None if spec.purpose == "check" else task_class(spec.task).read(spec.config).time_limit()


def _allowed_memory() -> int:
    """The bytes of memory that the machine and the groups of this process allow."""
    total = psutil.virtual_memory().total
    limit = Cgroup().memory_limit_bytes()
    return total if limit is None else min(total, limit)

"""Whether this machine has as many devices as the trials of a study have processes."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import InputError, Location
from harness.machine.environment import usable_cores
from harness.machine.visible_gpus import gpus_for
from harness.study.loaded import LoadedStudy
from harness.wording import count


def check_devices(parts: Iterable[LoadedStudy], gpu: str | None) -> None:
    """Raises InputError if an arm, or the training of a model that it loads, runs in more processes than
    there are usable cores, or usable GPUs if the trials run on a GPU.
    """
    for part in parts:
        for (arm, _), task in part.tasks.items():
            ranks = max(one.ranks for one in (task, *task.trainings()))
            if ranks > 1:
                _check(arm, ranks, gpu, Location(str(part.path)))


def _check(arm: str, ranks: int, gpu: str | None, at: Location) -> None:
    if gpu is not None:
        gpus_for(gpu, ranks)
        return
    cores = usable_cores()
    if ranks > cores:
        raise InputError(
            f"arm {arm!r} runs in {ranks} processes, but this machine has {count(cores, 'usable core')}",
            at=at,
            hint="leave the arm out with a scale or with --set, or use a machine with more cores",
        )

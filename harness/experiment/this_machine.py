"""The machine on which a study runs: its environment, and its device."""

from __future__ import annotations

from harness.errors import InputError, did_you_mean
from harness.machine.environment import Environment, environment
from harness.machine.visible_gpus import visible_gpus
from harness.run.backends.fork_server import WORKER_VARIABLES
from harness.run.resources import worker_threads


def this_machine(device: str) -> tuple[Environment, str | None]:
    """The environment, and the UUID of the GPU that `device` (auto, cpu or a UUID) means, or None for the
    CPU. The device auto is the first GPU that CUDA_VISIBLE_DEVICES allows.

    Raises InputError if there is no such device.
    """
    here = _environment()
    uuids = [gpu.uuid for gpu in here.gpus]
    if device == "cpu" or (device == "auto" and not uuids):
        return here, None
    if device == "auto":
        return here, next(iter(visible_gpus(here.gpus)), None)
    if device not in uuids:
        why = f": {here.nvml_reason}" if here.nvml_reason and not uuids else ""
        hint = did_you_mean(device, ["auto", "cpu", *uuids])
        raise InputError(f"there is no device {device!r}{why}", hint=hint)
    return here, device


def _environment() -> Environment:
    """The environment of the workers, with their settings of the allocator and their number of threads."""
    here = environment()
    variables = {**WORKER_VARIABLES, **here.variables, "worker threads": str(worker_threads("measure"))}
    return here.model_copy(update={"variables": variables})

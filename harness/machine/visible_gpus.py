"""The GPUs that programs may use: CUDA_VISIBLE_DEVICES says it, which schedulers of clusters set too."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.errors import InputError
from harness.telemetry.nvml import Gpu, NvmlReader

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


def visible_gpus(gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """The UUIDs of the GPUs that CUDA shows to a program with this environment, the first choice first.

    A number in CUDA_VISIBLE_DEVICES counts in the order of CUDA, which may put the fastest GPU first, while
    NVML follows the PCI bus. Only CUDA knows which GPU the number means, so it is asked. Raises InputError if
    it does not answer.
    """
    wanted = os.environ.get(VISIBLE_GPUS)
    if wanted is None:
        return tuple(gpu.uuid for gpu in gpus)
    if wanted.strip() in ("", "-1"):
        return ()
    meant = [[gpu.uuid for gpu in gpus if gpu.uuid.startswith(word.strip())] for word in wanted.split(",")]
    if all(len(uuids) == 1 for uuids in meant):
        return tuple(uuid for (uuid,) in meant)
    with NvmlReader() as reader:
        order, reason = reader.cuda_order()
    if reason is not None:
        raise InputError(
            f"{VISIBLE_GPUS}={wanted} may mean any of the {len(gpus)} GPUs: {reason}",
            hint=f"use UUIDs in {VISIBLE_GPUS}, or choose with --device UUID or --device cpu",
        )
    return order


def gpus_for(first: str, count: int) -> tuple[str, ...]:
    """The UUIDs of `count` GPUs for one trial: `first`, and then others that this process may use.

    Raises InputError if there are fewer.
    """
    with NvmlReader() as reader:
        visible = visible_gpus(reader.gpus())
    chosen = (first, *(uuid for uuid in visible if uuid != first))[:count]
    if len(chosen) < count:
        raise InputError(
            f"{count} processes need {count} GPUs, but there {_are(len(chosen))}",
            hint="use fewer ranks in `parallel`, or run with --device cpu",
        )
    return chosen


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"

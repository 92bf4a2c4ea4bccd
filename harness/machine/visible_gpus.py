"""The GPUs that programs may use: CUDA_VISIBLE_DEVICES says it, which schedulers of clusters set too."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.errors import InputError
from harness.telemetry.nvml import Gpu, NvmlReader

VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus(gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """The UUIDs of the GPUs that CUDA shows to a program with this environment, the first choice first.

    A number in CUDA_VISIBLE_DEVICES counts in the order of CUDA, which may put the fastest GPU first, while
    NVML follows the PCI bus. Only CUDA knows which GPU the number means, so it is asked. Raises InputError if
    it does not answer.
    """
    wanted = os.environ.get(VARIABLE)
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
            f"{VARIABLE}={wanted} may mean any of the {len(gpus)} GPUs: {reason}",
            hint=f"use UUIDs in {VARIABLE}, or choose with --device UUID or --device cpu",
        )
    return order

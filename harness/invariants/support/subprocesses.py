"""Fresh processes for checks that need them: one that is killed, or several that train together."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from typing import Any

import torch

from harness.invariants.base import PLANTED, PlantedBug
from harness.machine.matmul import onednn_settings

PATIENCE_S = 120.0
# Torch's optimizers need the first one. Together they take seconds, which every process would take.
PRELOADED = (
    "harness.invariants.support.tiny",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "torch.distributed.tensor.parallel",
    "torch.distributed.pipelining",
)


def in_processes(function: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> list[int]:
    """Call a module's function in fresh processes, one for each tuple of arguments; returns their exit codes.

    The processes are forked by a server that has imported torch and shares nothing else with this process.
    They have the bugs that are planted here, the same library for float32 products, and one thread each. A
    negative exit code is the signal that ended the process. A process that has not ended after two minutes is
    killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *PRELOADED])
    state = tuple(PLANTED), str(onednn_settings().fp32_precision)
    processes: list[ForkServerProcess] = [
        context.Process(target=_call, args=(*state, function, values)) for values in arguments
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
        if process.exitcode is None:
            process.kill()
            process.join()
    return [int(process.exitcode or 0) for process in processes]


def _call(
    bugs: tuple[PlantedBug, ...], products: str, function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    onednn_settings().fp32_precision = products
    with ExitStack() as stack:
        for bug in bugs:
            stack.enter_context(bug.plant())
        function(*arguments)

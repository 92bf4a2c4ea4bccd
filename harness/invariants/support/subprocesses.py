"""Checks that need other processes: one that is killed, several that train as one.

Imported when checks run.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from typing import Any

import torch

from harness.invariants.base import PLANTED, Mutant
from harness.machine.matmul import onednn_settings

PATIENCE_S = 120.0


def in_processes(function: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> list[int]:
    """Call a function of a module in fresh processes, one for each tuple of arguments; returns their exit
    codes.

    They are forked by a server that has torch, and nothing else of this process: no threads, no bugs. What is
    planted here is planted there, float32 products go to the same library, and each has one thread. An exit
    code below 0 is the signal that ended it; one that has not ended after two minutes is killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])  # torch's optimizers load it, 2 seconds
    here = tuple(PLANTED), str(onednn_settings().fp32_precision)
    processes: list[ForkServerProcess] = [
        context.Process(target=_alike, args=(*here, function, each)) for each in arguments
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
        if process.exitcode is None:
            process.kill()
            process.join()
    return [int(process.exitcode or 0) for process in processes]


def _alike(
    mutants: tuple[Mutant, ...], products: str, function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    onednn_settings().fp32_precision = products
    with ExitStack() as stack:
        for mutant in mutants:
            stack.enter_context(mutant.plant())
        function(*arguments)

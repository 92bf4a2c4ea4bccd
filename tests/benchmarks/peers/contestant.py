"""A process that runs units of work when it is told to: one line of JSON in, one out.

Every contestant has one, with the machine's settings as they come or with ours; a turn goes to one, while the
others wait. It has the libraries loaded, but works in a new process at every turn: where in memory a model
comes to lie makes it a few per cent faster or slower for as long as it lives, and that is nothing that an
interval over turns of one process sees.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

from harness.machine.matmul import choose_matmul_route, onednn_settings
from tests.benchmarks.peers.cases import CASES, Case, Tuning
from tests.benchmarks.peers.decoding import decoding_unit
from tests.benchmarks.peers.limits import measured_limits
from tests.benchmarks.peers.training import training_unit
from tests.benchmarks.peers.translation import beam_unit

# Units that find cold caches, kernels not made yet and memory not had yet.
NOT_COUNTED = 2


def main() -> None:
    tuning: Tuning = "tuned" if sys.argv[2] == "tuned" else "stock"
    threads = int(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    launcher = multiprocessing.get_context("fork")
    for line in sys.stdin:
        receiver, sender = launcher.Pipe(duplex=False)
        launched = launcher.Process(target=_turn, args=(json.loads(line), tuning, threads, sender))
        launched.start()
        sender.close()
        print(json.dumps(receiver.recv()), file=answers)  # EOFError where it died
        launched.join()


def _turn(order: dict[str, Any], tuning: Tuning, threads: int, answer: Connection) -> None:
    torch.set_num_threads(threads)
    if order.get("limits"):
        answer.send(measured_limits())
        return
    case = next(case for case in CASES if case.name == order["case"])
    _set_products(case, tuning)
    seconds, output = _timed(_unit(case, order["contestant"], tuning, threads), order["units"])
    answer.send({"seconds": seconds, "output": output})


def _unit(case: Case, contestant: str, tuning: Tuning, threads: int) -> Callable[[], Any]:
    if contestant == "CTranslate2":
        # Where torch has had threads of its own, OpenMP lets nobody's wait for work any more, and CTranslate2
        # takes twice as long.
        torch.set_num_threads(1)
    match case.task:
        case "decode":
            return decoding_unit(case, contestant, tuning, threads)
        case "beam":
            return beam_unit(case, contestant, threads)
        case _:
            return training_unit(case, contestant, tuning)


def _set_products(case: Case, tuning: Tuning) -> None:
    """As the worker does for its tasks: large products take the faster library where they stay float32."""
    onednn_settings().fp32_precision = "none"
    if tuning == "tuned" and case.task in ("train", "train-pair"):
        choose_matmul_route()


def _timed(unit: Callable[[], Any], units: int) -> tuple[list[float], str]:
    """Seconds of each unit that counts. Tokens come back as a hash, a loss as a number."""
    for _ in range(NOT_COUNTED):
        unit()
    seconds = []
    for _ in range(units):
        started = time.perf_counter()
        result = unit()
        seconds.append(time.perf_counter() - started)
    if isinstance(result, Tensor):
        return seconds, hashlib.sha256(result.numpy().tobytes()).hexdigest()[:16]
    return seconds, f"{result:.4f}"


if __name__ == "__main__":
    main()

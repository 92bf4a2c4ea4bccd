"""A process that runs units of work when it is told to: one line of JSON in, one out.

Every contestant has one, with the machine's settings as they come or with ours; a turn goes to one, while the others wait.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.telemetry.matmul import choose_matmul_route, onednn_settings
from tests.benchmarks.peers.cases import CASES, Case, Tuning
from tests.benchmarks.peers.decoding import decoding_unit
from tests.benchmarks.peers.limits import measured_limits
from tests.benchmarks.peers.training import training_unit
from tests.benchmarks.peers.translation import beam_unit


def main() -> None:
    tuning: Tuning = "tuned" if sys.argv[2] == "tuned" else "stock"
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    known, unit = "", None
    for line in sys.stdin:
        order = json.loads(line)
        if order.get("limits"):
            print(json.dumps(measured_limits()), file=answers)
            continue
        if order["case"] != known:
            case = _case(order["case"])
            _set_products(case, tuning)
            known, unit = case.name, _unit(case, order["contestant"], tuning, threads)
        assert unit is not None
        seconds, output = _timed(unit, order["units"])
        print(json.dumps({"seconds": seconds, "output": output}), file=answers)


def _case(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def _unit(case: Case, contestant: str, tuning: Tuning, threads: int) -> Callable[[], Any]:
    if contestant == "CTranslate2":
        # Where torch has had threads of its own, OpenMP lets nobody's wait for work any more, and CTranslate2 takes twice as long.
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
    """The first unit finds cold caches and is not counted. Tokens come back as a hash, a loss as a number."""
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

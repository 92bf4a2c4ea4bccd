"""What this machine can do at most: the measured ceilings that MFU and MBU are shares of."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from harness.machine.matmul import choose_matmul_route
from harness.models.config import ModelConfig
from harness.models.cost import cache_bytes, flops_per_token, parameter_count
from tests.benchmarks.peers.cases import Case

_SQUARE = 2048
_READ_BYTES = 256 << 20  # far beyond every cache


def measured_limits() -> dict[str, float]:
    """FLOP/s of a large matrix product in fp32 and bf16, bytes/s of reading memory; the best of a few tries.

    Products by the fastest library there is, so that a share of the ceiling is one of the machine, not of a
    library.
    """
    limits = {}
    choose_matmul_route()
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.randn(2, _SQUARE, _SQUARE).to(dtype)
        limits[name] = 2 * _SQUARE**3 / _least_seconds(partial(torch.mm, a, b))
    values = torch.ones(_READ_BYTES // 4)
    limits["memory"] = _READ_BYTES / _least_seconds(values.sum)
    return limits


def utilisation(case: Case, tokens_per_second: float, limits: dict[str, float]) -> dict[str, float]:
    """MFU of training (backward counted as two forwards), MBU of decoding (weights and filled cache, read
    once a step).

    Shares of the measured ceilings; nothing for encoder-decoders, whose tokens are not one kind.
    """
    size = case.size
    config = ModelConfig(
        d_model=size.d_model,
        n_layers=size.n_layers,
        n_heads=size.n_heads,
        d_ff=size.d_ff,
        vocab_size=size.vocab_size,
        max_positions=case.prompt + case.tokens,
    )
    match case.task:
        case "train":
            flops = 3 * flops_per_token(config, keys=case.tokens)
            return {"mfu": flops * tokens_per_second / limits[case.precision]}
        case "decode":
            filled = cache_bytes(
                config,
                "dynamic",
                batch=case.batch,
                prompt=case.prompt,
                new_tokens=case.tokens // 2,
                bytes_per_value=4,
            )
            steps_per_second = tokens_per_second / case.batch
            return {"mbu": (4 * parameter_count(config) + filled) * steps_per_second / limits["memory"]}
        case _:
            return {}


def _least_seconds(work: Callable[[], object]) -> float:
    work()
    least = float("inf")
    for _ in range(7):
        started = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - started)
    return least

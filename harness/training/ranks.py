"""Several processes train one model: each has its own micro-batches, and all use the same total gradient.

They are ranks of torch's process group, which their launcher sets up. Without a group there is one rank.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn


def several_ranks() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def tokens_of_all(tokens: int, device: torch.device) -> int:
    """The target tokens of all ranks together, given those of this rank."""
    if not several_ranks():
        return tokens
    total = torch.tensor(tokens, device=device)
    distributed.all_reduce(total)
    return int(total)


def sum_over_ranks(parameters: Iterable[nn.Parameter], losses: Tensor) -> Tensor:
    """Replace the gradients on every rank by their sum over all ranks; returns the sum of the losses.

    A parameter that a rank did not use counts as having a gradient of zero there.
    """
    if not several_ranks():
        return losses
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)
    total = losses.clone()
    distributed.all_reduce(total)
    return total

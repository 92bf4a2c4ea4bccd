"""Several processes train one model, each on micro-batches of its own, all of them with the gradient of the
whole.

They are ranks of torch's process group, which whoever starts them sets up; without one there is a single
rank.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn


def several_ranks() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def tokens_of_all(tokens: int, device: torch.device) -> int:
    """The target tokens of all ranks, of which this one has so many."""
    if not several_ranks():
        return tokens
    total = torch.tensor(tokens, device=device)
    distributed.all_reduce(total)
    return int(total)


def sum_over_ranks(parameters: Iterable[nn.Parameter], losses: Tensor) -> Tensor:
    """Make every rank's gradients the sum of all, those of parameters that a rank did not use included;
    returns that of the losses.
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

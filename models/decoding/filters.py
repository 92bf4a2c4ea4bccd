"""What sampling may choose from: pure functions on logits (..., V). Tokens that are ruled out get -inf."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import assert_never

import torch
from torch import Tensor

from harness.models.decoding.config import Filter, MinP, Temperature, TopK, TopP


def filtered(logits: Tensor, filters: Iterable[Filter]) -> Tensor:
    """The filters one after the other, in the order in which they stand."""
    for each in filters:
        match each:
            case Temperature():
                # Less the largest first, which a softmax does not see: a tiny temperature would make it
                # infinite. GPUs multiply by the reciprocal, which has to be finite as well.
                below = logits - logits.amax(dim=-1, keepdim=True)
                logits = below / max(each.value, sys.float_info.min)
            case TopK():
                logits = top_k(logits, each.k)
            case TopP():
                logits = top_p(logits, each.p)
            case MinP():
                logits = min_p(logits, each.p)
            case _:
                assert_never(each)
    return logits


def top_k(logits: Tensor, k: int) -> Tensor:
    """The k largest, and those that equal the k-th (Fan et al. 2018, §5)."""
    if k >= logits.shape[-1]:
        return logits
    least = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """The fewest of the most probable that reach p together, one at least (Holtzman et al. 2020, §3.1)."""
    if p >= 1.0:  # rounding could make the sum reach 1 too early
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # what more probable tokens reach without this one
    before[..., 0] = 0.0
    ruled_out = torch.empty_like(logits, dtype=torch.bool).scatter_(-1, order, before >= p)
    return logits.masked_fill(ruled_out, -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Those at least p times as probable as the most probable (Nguyen et al. 2024, §3)."""
    least = logits.amax(dim=-1, keepdim=True) + math.log(p)
    return logits.masked_fill(logits < least, -math.inf)

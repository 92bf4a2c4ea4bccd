"""The tokens from which sampling may choose: pure functions on logits (..., V). Excluded tokens get -inf."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import assert_never

import torch
from torch import Tensor

from harness.models.decoding.config import Filter, MinP, Temperature, TopK, TopP


def filtered(logits: Tensor, filters: Iterable[Filter]) -> Tensor:
    """The logits (..., V) after all filters, in the order given."""
    for one in filters:
        match one:
            case Temperature():
                # The largest logit is subtracted first, which changes no softmax: a tiny temperature would
                # make it infinite. GPUs multiply by the reciprocal, which must be finite as well.
                below = logits - logits.amax(dim=-1, keepdim=True)
                logits = below / max(one.value, sys.float_info.min)
            case TopK():
                logits = top_k(logits, one.k)
            case TopP():
                logits = top_p(logits, one.p)
            case MinP():
                logits = min_p(logits, one.p)
            case _:
                assert_never(one)
    return logits


def top_k(logits: Tensor, k: int) -> Tensor:
    """The k largest logits, and those that equal the k-th (Fan et al. 2018, §5)."""
    if k >= logits.shape[-1]:
        return logits
    least = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """The smallest set of most probable tokens that reaches p, at least one token (Holtzman et al. 2020,
    §3.1).
    """
    if p >= 1.0:  # rounding could make the sum reach 1 too early
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # the sum over more probable tokens
    before[..., 0] = 0.0
    excluded = torch.empty_like(logits, dtype=torch.bool).scatter_(-1, order, before >= p)
    return logits.masked_fill(excluded, -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """The tokens at least p times as probable as the most probable token (Nguyen et al. 2024, §3)."""
    least = logits.amax(dim=-1, keepdim=True) + math.log(p)
    return logits.masked_fill(logits < least, -math.inf)

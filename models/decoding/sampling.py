"""Sampling from the model's filtered distribution.

Filters are pure functions on logits (..., V); excluded tokens get -inf.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import assert_never

import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable, check_finite, check_prompt
from harness.models.decoding.config import Filter, MinP, Sampling, Temperature, TopK, TopP
from harness.models.decoding.decoding_state import token_steps
from harness.models.named_rng import keyed_generator


def sample(
    model: Decodable,
    prompt: Tensor,
    settings: Sampling,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """The continuation (B, N) of prompts (B, P); rows end as in `greedy_steps`.

    Every row has random numbers of its own, which depend neither on the cache nor on the device nor on other
    rows. Raises ValueError if the continuation would exceed max_positions or the number of streams is not the
    number of rows (before anything runs), and if logits are not finite.
    """
    check_prompt("sampling", model, prompt, new_tokens=new_tokens, valid=valid)
    numbers = uniforms(generators(settings, len(prompt)), new_tokens, device=prompt.device)
    step = iter(range(new_tokens))

    def draw_each(logits: Tensor, live: Tensor) -> Tensor:
        return draw(distribution("sampling", logits, settings.filters), numbers[live, next(step)])

    steps = token_steps(model, prompt, draw_each, new_tokens=new_tokens, cache=cache, end=end, valid=valid)
    return torch.stack(list(steps), dim=1)


def distribution(name: str, logits: Tensor, filters: tuple[Filter, ...]) -> Tensor:
    """Logits (..., V) to probabilities in float64. Raises ValueError if logits are not finite."""
    check_finite(name, logits.amax(dim=-1))
    return filtered(logits.double(), filters).softmax(dim=-1)


def draw(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """The tokens (...) at which cumulative probabilities (..., V) first exceed the numbers (...) in [0, 1).

    A token of probability 0 is never drawn.
    """
    reached = probabilities.cumsum(dim=-1)
    thresholds = numbers[..., None] * reached[..., -1:]
    return torch.searchsorted(reached, thresholds, right=True).squeeze(-1)


def generators(settings: Sampling, rows: int) -> list[torch.Generator]:
    """One generator per row. Raises ValueError if the number of streams is not the number of rows."""
    streams = settings.streams or tuple(map(str, range(rows)))
    if len(streams) != rows:
        raise ValueError(
            f"sampling: streams has {len(streams)} names, but there are {rows} rows; give one name per row"
        )
    return [keyed_generator(f"{settings.seed}/{stream}") for stream in streams]


def uniforms(rows: Sequence[torch.Generator], count: int, *, device: torch.device) -> Tensor:
    """Random numbers (rows, count) in [0, 1), float64."""
    numbers = [torch.rand(count, generator=generator, dtype=torch.float64) for generator in rows]
    return torch.stack(numbers).to(device)


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

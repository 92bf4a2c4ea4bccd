"""Sampling from the model's distribution, filtered."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable
from harness.models.decoding.config import Filter, Sampling
from harness.models.decoding.filters import filtered
from harness.models.decoding.refusals import check_finite, check_prompt
from harness.models.decoding.steps import token_steps
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
    """The continuation (B, N) of prompts (B, P), rows and ends as in `greedy_steps`.

    A row's random numbers are its own: they depend neither on the cache, nor on the device, nor on what
    stands beside it. Raises ValueError, before anything runs, for a continuation beyond max_positions or
    another number of streams than of rows, and where logits are not finite.
    """
    check_prompt("sampling", model, prompt, new_tokens=new_tokens, valid=valid)
    numbers = uniforms(generators(settings, len(prompt)), new_tokens, device=prompt.device)
    step = iter(range(new_tokens))

    def draw_each(logits: Tensor, live: Tensor) -> Tensor:
        return draw(distribution("sampling", logits, settings.filters), numbers[live, next(step)])

    steps = token_steps(model, prompt, draw_each, new_tokens=new_tokens, cache=cache, end=end, valid=valid)
    return torch.stack(list(steps), dim=1)


def distribution(name: str, logits: Tensor, filters: tuple[Filter, ...]) -> Tensor:
    """Logits (..., V) to probabilities in float64. Raises ValueError where no logit is finite."""
    check_finite(name, logits.amax(dim=-1))
    return filtered(logits.double(), filters).softmax(dim=-1)


def draw(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Tokens (...) where the cumulative (..., V) first exceeds numbers (...) in [0, 1); never one of
    probability 0.
    """
    reached = probabilities.cumsum(dim=-1)
    wanted = numbers[..., None] * reached[..., -1:]
    return torch.searchsorted(reached, wanted, right=True).squeeze(-1)


def generators(settings: Sampling, rows: int) -> list[torch.Generator]:
    """One for each row. ValueError: another number of streams is named."""
    streams = settings.streams or tuple(map(str, range(rows)))
    if len(streams) != rows:
        raise ValueError(f"sampling: {len(streams)} streams are named for {rows} rows")
    return [keyed_generator(f"{settings.seed}/{stream}") for stream in streams]


def uniforms(rows: Sequence[torch.Generator], count: int, *, device: torch.device) -> Tensor:
    """Random numbers (rows, count) in [0, 1), float64."""
    numbers = [torch.rand(count, generator=generator, dtype=torch.float64) for generator in rows]
    return torch.stack(numbers).to(device)

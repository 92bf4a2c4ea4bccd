"""Sampling from the model's distribution, filtered."""

from __future__ import annotations

import torch
from torch import Tensor

from models.config import CacheKind
from models.decoding.base import Decodable
from models.decoding.checks import check_finite, check_prompt
from models.decoding.config import Filter, Sampling
from models.decoding.filters import filtered
from models.decoding.steps import token_steps


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

    A row's random numbers are its own: they depend neither on the cache, nor on the device, nor on when other rows
    end. Raises ValueError, before anything runs, for a continuation beyond max_positions, and where logits are not
    finite.
    """
    check_prompt("sampling", model, prompt, new_tokens=new_tokens, valid=valid)
    numbers = uniforms(seeded(settings.seed), len(prompt), new_tokens, device=prompt.device)
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
    """Tokens (...) where the cumulative (..., V) first exceeds numbers (...) in [0, 1); never one of probability 0."""
    reached = probabilities.cumsum(dim=-1)
    wanted = numbers[..., None] * reached[..., -1:]
    return torch.searchsorted(reached, wanted, right=True).squeeze(-1)


def seeded(seed: int) -> torch.Generator:
    """On the CPU, so that every device draws alike."""
    return torch.Generator().manual_seed(seed)


def uniforms(generator: torch.Generator, *size: int, device: torch.device) -> Tensor:
    """Random numbers in [0, 1), float64."""
    return torch.rand(size, generator=generator, dtype=torch.float64).to(device)

"""Sampling from the model's filtered distribution."""

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

"""Greedy decoding: the most probable token, again and again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable
from harness.models.decoding.refusals import check_finite, check_prompt
from harness.models.decoding.steps import token_steps
from harness.models.decoding.topk import largest


def greedy_steps(
    model: Decodable,
    prompt: Tensor,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None = None,
    valid: Tensor | None = None,
) -> Iterator[Tensor]:
    """Yield the tokens (B,) one step at a time; the first step is the prefill, cache allocation included.

    Prompt (B, P), padded on the left where `valid` (B, P) is False. Cache "none" runs the whole prefix again
    at every step. A row that gave `end` leaves the batch and is filled up with it; when all have, there are
    no more steps. Raises ValueError, before anything runs, for a continuation beyond max_positions, and after
    the last step where logits were not finite.
    """
    check_prompt("greedy", model, prompt, new_tokens=new_tokens, valid=valid)
    return _steps(model, prompt, new_tokens=new_tokens, cache=cache, end=end, valid=valid)


def greedy(
    model: Decodable,
    prompt: Tensor,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """The continuation (B, N), N = new_tokens or, with `end`, the longest row's; see `greedy_steps`."""
    steps = greedy_steps(model, prompt, new_tokens=new_tokens, cache=cache, end=end, valid=valid)
    return torch.stack(list(steps), dim=1)


def _steps(
    model: Decodable,
    prompt: Tensor,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None,
    valid: Tensor | None,
) -> Iterator[Tensor]:
    values: list[Tensor] = []

    def best(logits: Tensor, _: Tensor) -> Tensor:
        value, token = largest(logits, 1)  # (R, 1)
        values.append(value)
        return token[:, 0]

    yield from token_steps(model, prompt, best, new_tokens=new_tokens, cache=cache, end=end, valid=valid)
    # Asked once at the end: asking at every step would make a device wait for it.
    check_finite("greedy", torch.cat(values))

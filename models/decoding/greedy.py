"""Greedy decoding: the most probable token at every step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable, check_finite, check_prompt
from harness.models.decoding.decoding_state import token_steps
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
    """Yield the tokens (B,) of one step at a time; the first step includes the prompt and the allocation of a
    cache.

    Prompt (B, P), padded on the left where `valid` (B, P) is False. Cache "none" runs all tokens so far again
    at every step. A row that has produced `end` leaves the batch and is filled up with it; there are no more
    steps once all rows have. Raises ValueError if the continuation would exceed max_positions (before
    anything runs), and after the last step if logits were not finite.
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
    """The continuation (B, N); N is new_tokens or, with `end`, the length of the longest row. See
    `greedy_steps`.
    """
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
    # Checked once at the end, because a check at every step would make the device wait.
    check_finite("greedy", torch.cat(values))

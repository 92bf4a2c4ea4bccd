"""Greedy decoding: the most probable token, again and again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import CacheKind
from models.decoding.base import Decodable


def greedy_steps(
    model: Decodable, prompt: Tensor, *, new_tokens: int, cache: CacheKind, valid: Tensor | None = None
) -> Iterator[Tensor]:
    """Yield the tokens (B,) one step at a time; the first step is the prefill, cache allocation included.

    Prompt (B, P), padded on the left where `valid` (B, P) is False. Cache "none" runs the whole prefix again at
    every step. Raises ValueError, before anything runs, for a continuation beyond max_positions.
    """
    _check(model, prompt, new_tokens=new_tokens, valid=valid)
    if cache == "none":
        return _uncached_steps(model, prompt, new_tokens=new_tokens, valid=valid)
    return _cached_steps(model, prompt, new_tokens=new_tokens, cache=cache, valid=valid)


def greedy(
    model: Decodable, prompt: Tensor, *, new_tokens: int, cache: CacheKind, valid: Tensor | None = None
) -> Tensor:
    """The continuation (B, new_tokens); see `greedy_steps`."""
    return torch.stack(
        list(greedy_steps(model, prompt, new_tokens=new_tokens, cache=cache, valid=valid)), dim=1
    )


def _cached_steps(
    model: Decodable, prompt: Tensor, *, new_tokens: int, cache: CacheKind, valid: Tensor | None
) -> Iterator[Tensor]:
    batch, prompt_length = prompt.shape
    # Inference mode is entered anew for each step: a generator would leak it into its caller.
    with torch.inference_mode():
        past = model.new_cache(cache, batch=batch, capacity=prompt_length + new_tokens - 1)
        token = model.next_logits(prompt, cache=past, valid=valid).argmax(dim=-1)  # (B,)
    yield token
    for _ in range(new_tokens - 1):
        with torch.inference_mode():
            token = model.next_logits(token[:, None], cache=past, valid=None).argmax(dim=-1)
        yield token


def _uncached_steps(
    model: Decodable, prompt: Tensor, *, new_tokens: int, valid: Tensor | None
) -> Iterator[Tensor]:
    batch, length = prompt.shape
    with torch.inference_mode():
        model.new_cache(
            "none", batch=batch, capacity=length + new_tokens - 1
        )  # the same refusals as with a cache
        tokens = F.pad(prompt, (0, new_tokens))  # (B, P + new_tokens)
        real = None if valid is None else F.pad(valid, (0, new_tokens), value=True)
    for end in range(length, length + new_tokens):
        with torch.inference_mode():
            prefix_valid = None if real is None else real[:, :end]
            token = model.next_logits(tokens[:, :end], cache=None, valid=prefix_valid).argmax(dim=-1)
            tokens[:, end] = token
        yield token


def _check(model: Decodable, prompt: Tensor, *, new_tokens: int, valid: Tensor | None) -> None:
    length = prompt.shape[1]
    if length < 1 or new_tokens < 1:
        raise ValueError(f"greedy: needs a prompt and new tokens, not {length} and {new_tokens}")
    if length + new_tokens > model.max_positions:
        raise ValueError(
            f"greedy: prompt {length} + new tokens {new_tokens} exceed max_positions {model.max_positions}; "
            "ask for fewer or build a model with more"
        )
    if valid is not None and valid.shape != prompt.shape:
        raise ValueError(f"greedy: valid is {tuple(valid.shape)}, the prompt {tuple(prompt.shape)}")
    if valid is not None and not bool(valid[:, -1].all()):
        raise ValueError("greedy: a prompt ends in padding; pad on the left")

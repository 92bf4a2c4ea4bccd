"""The checks that all decoders share."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

from harness.models.decoding.base import Decodable


def check_prompt(
    name: str, model: Decodable, prompt: Tensor, *, new_tokens: int, valid: Tensor | None
) -> None:
    """Raises ValueError if the model cannot continue the prompt (B, P) by so many tokens."""
    batch, length = prompt.shape
    if batch < 1:
        raise ValueError(f"{name}: the prompt has no rows; give at least one")
    if length < 1 or new_tokens < 1:
        raise ValueError(
            f"{name}: prompt and continuation need at least one token each, not {length} and {new_tokens}"
        )
    if length + new_tokens > model.max_positions:
        raise ValueError(
            f"{name}: prompt {length} + new tokens {new_tokens} exceed max_positions {model.max_positions}; "
            "reduce new_tokens or increase the model's max_positions"
        )
    if valid is not None and valid.shape != prompt.shape:
        raise ValueError(
            f"{name}: valid has shape {tuple(valid.shape)}, but the prompt has {tuple(prompt.shape)}"
        )
    if valid is not None and not bool(valid[:, -1].all()):
        raise ValueError(f"{name}: a prompt ends in padding; pad on the left")


def check_finite(name: str, summary: Tensor | Iterable[float]) -> None:
    """Raises ValueError if a number is not finite. `summary` has one per row, such as its maximum."""
    if isinstance(summary, Tensor):
        finite = bool(summary.isfinite().all())
    else:
        finite = all(math.isfinite(value) for value in summary)
    if not finite:
        raise ValueError(
            f"{name}: the model produced logits that are not finite; check whether its parameters are finite"
        )

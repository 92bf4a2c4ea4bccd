"""What every decoder refuses, in the same words."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

from harness.models.decoding.base import Decodable


def check_prompt(
    name: str, model: Decodable, prompt: Tensor, *, new_tokens: int, valid: Tensor | None
) -> None:
    """Raises ValueError, before anything runs, for a prompt (B, P) that the model cannot continue so far."""
    batch, length = prompt.shape
    if batch < 1:
        raise ValueError(f"{name}: needs at least one row")
    if length < 1 or new_tokens < 1:
        raise ValueError(f"{name}: needs a prompt and new tokens, not {length} and {new_tokens}")
    if length + new_tokens > model.max_positions:
        raise ValueError(
            f"{name}: prompt {length} + new tokens {new_tokens} exceed max_positions {model.max_positions}; "
            "ask for fewer or build a model with more"
        )
    if valid is not None and valid.shape != prompt.shape:
        raise ValueError(f"{name}: valid is {tuple(valid.shape)}, the prompt {tuple(prompt.shape)}")
    if valid is not None and not bool(valid[:, -1].all()):
        raise ValueError(f"{name}: a prompt ends in padding; pad on the left")


def check_finite(name: str, summary: Tensor | Iterable[float]) -> None:
    """`summary` has a number from each row of logits: its maximum, or its log-sum-exp."""
    if isinstance(summary, Tensor):
        finite = bool(summary.isfinite().all())
    else:
        finite = all(math.isfinite(value) for value in summary)
    if not finite:
        raise ValueError(
            f"{name}: the model gave no finite logit to choose by; look for a parameter that is not finite"
        )

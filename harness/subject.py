"""What invariants are checked on: the model and the inputs of a study's own arm. Made by tasks, read by invariants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.config import CacheKind

if TYPE_CHECKING:
    from torch import Tensor

    from models.transformer import Transformer


@dataclass(frozen=True, kw_only=True)
class Subject:
    """`model` is in evaluation mode; `tokens` (B, T) int64 are inputs of the arm, unpadded, on the model's device."""

    model: Transformer
    tokens: Tensor


@dataclass(frozen=True, kw_only=True)
class DecodingSubject(Subject):
    """An arm that decodes: `tokens` are its prompts, which `new_tokens` follow."""

    new_tokens: int
    cache: CacheKind

"""What invariants are checked on: the model and the inputs of a study's own arm. Made by tasks, read by invariants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.config import CacheKind, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

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


@dataclass(frozen=True, kw_only=True)
class TrainingSubject(Subject):
    """An arm that trains: a model in its first state can be built again and again, and so can its optimizer.

    `batches` are pairs of inputs and targets, each (B, T); `loss_of` is the arm's way to the mean loss a target token.
    """

    config: ModelConfig
    build: Callable[[ModelConfig], Transformer]
    batches: Sequence[tuple[Tensor, Tensor]]
    loss_of: Callable[[Transformer, Tensor, Tensor], Tensor]
    optimizer: Callable[[Transformer], Optimizer]
    clip: float | None

"""What invariants are checked on: the model and the inputs of a study's own arm. Made by tasks, read by invariants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.config import CacheKind, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

    from harness.training.objective import Batch
    from harness.training.schedule import Schedule
    from harness.training.update import Updater
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
    """An arm that trains: its model in the first state, as often as it is built, and what makes updates of one.

    `micro_batches` are the first of the arm's own data, `accumulate` of them an update. `compiles` is whether it has
    torch compile the step; updaters that are made here never do.
    """

    config: ModelConfig
    build: Callable[[ModelConfig], Transformer]
    updater: Callable[[Transformer], Updater]
    micro_batches: Sequence[Batch]
    accumulate: int
    schedule: Schedule
    compiles: bool

    def updates(self, count: int) -> list[Sequence[Batch]]:
        """The micro-batches of the first updates: `count` of them, or as many as there are."""
        starts = range(0, len(self.micro_batches) - self.accumulate + 1, self.accumulate)
        return [self.micro_batches[start : start + self.accumulate] for start in starts][:count]

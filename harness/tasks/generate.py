"""Task `generate`: greedy continuation of prompts from a test split, timed apart for prefill and decode.

One unit is one complete generation of the same fixed work; a trial's value is the median over its units.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from harness.config import Config
from harness.data.registry import CorpusRef
from harness.tasks.base import Context, Report, Result, Task
from harness.tasks.train import Train
from models.config import CacheKind

if TYPE_CHECKING:
    from torch import Tensor

    from models.transformer import Transformer


class Recipe(Config):
    """A trained model: the recipe's name, and the training that it stands for."""

    recipe: str
    train: Train


class Prompts(Config):
    """`count` windows of `tokens` tokens each from a split of a corpus, chosen by the seed, not overlapping."""

    corpus: CorpusRef
    split: str = "test"
    count: int = Field(gt=0)
    tokens: int = Field(gt=0)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What an invariant is checked on. `prompts` is (B, P) int64."""

    model: Transformer
    prompts: Tensor
    new_tokens: int
    cache: CacheKind


class Generate(Task):
    """Greedy decoding of `new_tokens` tokens for a batch of prompts with one kind of key-value cache."""

    name: ClassVar[str] = "generate"
    metrics: ClassVar[tuple[str, ...]] = (
        "first_token_seconds",
        "prefill_tokens_per_second",
        "decode_tokens_per_second",
        "tokens_per_second",
        "cache_bytes",
        "cache_bytes_formula",
        "peak_tensor_bytes",
        "peak_rss_bytes",
    )

    model: Recipe
    prompts: Prompts
    new_tokens: int = Field(ge=2)
    cache: CacheKind = "none"
    units: int = Field(default=3, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needed, most = self.prompts.tokens + self.new_tokens, self.model.train.model.max_positions
        if needed > most:
            raise ValueError(
                f"prompts.tokens {self.prompts.tokens} + new_tokens {self.new_tokens} is beyond the model's max_positions {most}"
            )
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.prompts.corpus)

    def trainings(self) -> tuple[Task, ...]:
        return (self.model.train,)

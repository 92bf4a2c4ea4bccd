"""What tasks are given that work with a trained model: the recipe it comes from, and prompts."""

from __future__ import annotations

import operator
from typing import Self

from pydantic import Field, model_validator

from harness.config import Config
from harness.data.reference import CorpusRef
from harness.models.config import ModelConfig
from harness.tasks.train import Train


class Recipe(Config):
    """A trained model: the recipe's name, and the training that it stands for.

    `after` so many updates of it, one of those in `train.keep`; at its end without.
    """

    recipe: str
    train: Train
    after: int | None = Field(default=None, exclude_if=operator.not_)

    @model_validator(mode="after")
    def _was_kept(self) -> Self:
        known = (*self.train.keep, self.train.updates)
        if self.after is not None and self.after not in known:
            raise ValueError(
                f"recipe {self.recipe} keeps no model after {self.after} updates, but after {', '.join(map(str, known))}"
            )
        return self

    @property
    def kept(self) -> int | None:
        """Where on the way the model was kept; None at the end."""
        return None if self.after == self.train.updates else self.after

    @property
    def updates(self) -> int:
        """Those that made the model."""
        return self.train.updates if self.after is None else self.after

    @property
    def spent(self) -> dict[str, float]:
        """What made the model, for parity between arms: its updates, and its training tokens by the recipe."""
        return {"updates": self.updates, "training_tokens": self.updates * self.train.update_tokens}


class DecoderRecipe(Recipe):
    """One of a decoder, which continues text."""

    @model_validator(mode="after")
    def _continues_text(self) -> Self:
        if self.train.model.kind != "decoder":
            raise ValueError(f"recipe {self.recipe} trains a translator, which continues no text")
        return self

    @property
    def decoder(self) -> ModelConfig:
        assert isinstance(self.train.model, ModelConfig)
        return self.train.model


class Prompts(Config):
    """`count` windows of `tokens` tokens each from a split of a corpus, chosen by the seed, not overlapping."""

    corpus: CorpusRef
    split: str = "test"
    count: int = Field(gt=0)
    tokens: int = Field(gt=0)

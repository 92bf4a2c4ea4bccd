"""What tasks take that work with a trained model: the recipe of the model, and prompts."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from harness.config import Config, content
from harness.data.batches import Windows, token_array
from harness.data.corpus import load_corpus
from harness.data.reference import CorpusRef, entire, reference_name
from harness.models.config import CacheKind, EncoderDecoderConfig, ModelConfig
from harness.models.config.own import OwnDecoderConfig
from harness.models.cost import parameter_count
from harness.tasks.base import Context
from harness.tasks.train import Train
from harness.tasks.work import Work
from harness.training.checkpoint import load_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer
    from harness.models.encoder_decoder import EncoderDecoder
    from harness.models.own import OwnDecoder
    from harness.models.transformer import Transformer


class TrainedModel(Config):
    """A trained model: the name of its recipe, and the training that the recipe describes.

    `after` is a number of updates in `train.keep`: the model as it was then. Without it, the model at the end
    of its training.
    """

    recipe: str
    """The name of the recipe, a file in the folder recipes/ beside the study."""

    train: Train
    """Settings of the training that replace those of the recipe."""

    after: int | None = Field(default=None, exclude_if=operator.not_)
    """The model as it was after this number of updates, which must be in `train.keep`. Default: the end."""

    @model_validator(mode="after")
    def _is_kept(self) -> Self:
        known = (*self.train.keep, self.train.updates)
        if self.after is not None and self.after not in known:
            raise ValueError(
                f"recipe {self.recipe} keeps no model after {self.after} updates; "
                f"it keeps one after {', '.join(map(str, known))}"
            )
        return self

    @property
    def updates(self) -> int:
        """The updates that made the model."""
        return self.train.updates if self.after is None else self.after

    @property
    def expected_work(self) -> Work:
        """What it takes to make the model, for parity between arms, by its recipe."""
        return {**self._counted, **self.train.expected_text}

    def work(self, corpus: Corpus, tokenizer: Tokenizer) -> Work:
        """What it took to make the model: updates and training tokens by the recipe, and the text that its
        training read. `corpus` and `tokenizer` are those of the training.
        """
        return {**self._counted, **self.train.read_text(corpus, tokenizer)}

    @property
    def _counted(self) -> Work:
        return {
            "updates": self.updates,
            "training_tokens": self.updates * self.train.update_tokens,
            "parameters": parameter_count(self.train.model),
        }

    def seen(self, corpus: CorpusRef, split: str, key: str) -> str | None:
        """Why a split is not held out from the model: it is the one that the model was trained on. `key` is
        where the split was declared.
        """
        trained_on = split == "train" and entire(corpus) == entire(self.train.corpus)
        return f"{key} train is the text that recipe {self.recipe} trains on" if trained_on else None

    def load(self, context: Context) -> Transformer | EncoderDecoder | OwnDecoder:
        """The model in evaluation mode, on the trial's device."""

        after = None if self.after == self.train.updates else self.after
        model = load_model(context.checkpoint(self.train), self.train.model, after=after)
        return model.to(context.device)


class TrainedDecoder(TrainedModel):
    """A trained model that continues text."""

    @model_validator(mode="after")
    def _continues_text(self) -> Self:
        translates = isinstance(self.train.model, EncoderDecoderConfig)
        if translates:
            raise ValueError(f"recipe {self.recipe} trains a translator, which cannot continue text")
        return self

    @property
    def decoder(self) -> ModelConfig | OwnDecoderConfig:
        assert not isinstance(self.train.model, EncoderDecoderConfig)
        return self.train.model

    def check_cache(self, kind: CacheKind) -> None:
        """Raises ValueError if the model has no cache of this kind."""
        decoder = self.decoder
        if isinstance(decoder, OwnDecoderConfig) and kind not in decoder.caches:
            raise ValueError(
                f"a model of kind {decoder.kind} has no cache {kind}, only {', '.join(decoder.caches)}"
            )

    def load(self, context: Context) -> Transformer | OwnDecoder:
        from harness.models.encoder_decoder import EncoderDecoder

        model = super().load(context)
        assert not isinstance(model, EncoderDecoder)
        return model


class Prompts(Config):
    """`count` windows of `tokens` tokens each from a split of a corpus. The seed chooses them; they do not
    overlap.
    """

    corpus: CorpusRef
    """The corpus that the prompts come from."""

    split: str = "test"
    """The split of the corpus: train, valid or test."""

    count: int = Field(gt=0)
    """The number of prompts, which are continued together."""

    tokens: int = Field(gt=0)
    """The number of tokens of each prompt."""

    def check_room(self, new_tokens: int, positions: int) -> None:
        """Raises ValueError if a prompt and so many new tokens are more than the model's positions."""
        if self.tokens + new_tokens > positions:
            raise ValueError(
                f"prompts.tokens {self.tokens} + new_tokens {new_tokens} is more than "
                f"the model's max_positions {positions}"
            )

    def windows(self, tokenizer: Tokenizer, *, length: int, seed: int) -> NDArray[np.int64]:
        """The prompts, each with the tokens that follow it up to `length`: (count, length). If there are
        enough windows, neither a prompt nor what follows is cut inside a character.

        Raises CorpusError if the split has fewer windows.
        """
        tokens = token_array(load_corpus(self.corpus), self.split, tokenizer)
        windows = Windows(length=length, cuts=(self.tokens,), inside_characters=tokenizer.inside_characters)
        return windows.drawn(tokens, count=self.count, seed=seed)

    @property
    def name(self) -> str:
        return f"{reference_name(entire(self.corpus))} {self.split}"

    @property
    def expected_text(self) -> list[Any]:
        """The settings that decide on the text of the prompts, besides the tokenizer and the seed."""
        return [content(entire(self.corpus)), self.split, self.count, self.tokens]

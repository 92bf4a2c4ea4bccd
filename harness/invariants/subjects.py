"""What invariants are checked on: the model and the inputs of a study's own arm.

Tasks make subjects, and invariants read them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from harness.errors import InputError
from harness.models.config import CacheKind, EncoderDecoderConfig, ModelConfig
from harness.models.config.own import OwnDecoderConfig
from harness.training.parallel.config import ONE_PROCESS, Parallel

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.decoding.base import Scorer
    from harness.models.encoder_decoder import EncoderDecoder
    from harness.models.own import OwnDecoder
    from harness.models.transformer import Transformer
    from harness.training.objective import MicroBatch
    from harness.training.schedule import Schedule
    from harness.training.update import Updater


@dataclass(frozen=True, kw_only=True)
class Subject:
    """`model` is in evaluation mode; `tokens` (B, T) int64 are inputs of the arm, on the model's device.

    For an encoder-decoder they are the inputs of its decoder, and `sources` (B, S) are the texts that it
    translates, padded with id 0.
    """

    model: Transformer | EncoderDecoder | OwnDecoder
    tokens: Tensor
    sources: Tensor | None = None

    @property
    def transformer(self) -> Transformer | EncoderDecoder:
        """The model, for checks of its parts.

        Raises InputError for a model of a plug-in, whose parts only the plug-in knows.
        """
        if isinstance(self.model.config, OwnDecoderConfig):
            raise InputError(
                f"this invariant checks parts of the transformer, and {self.model.config.kind!r} has others",
                hint="remove it from `invariants`, or give the plug-in an invariant of its own",
            )
        transformer: Any = self.model
        return cast("Transformer | EncoderDecoder", transformer)

    def hidden(self, tokens: Tensor) -> Tensor:
        """The hidden states (B', T', C) of other tokens (B', T'), with the first B' sources."""
        model: Any = self.model
        states: Tensor
        if self.sources is None:
            states = model.hidden(tokens)
        else:
            sources = self.sources[: len(tokens)]
            states = model.hidden(sources, tokens, source_valid=sources != 0)
        return states

    def logits(self, tokens: Tensor) -> Tensor:
        """(B', T', V)."""
        return self.model.output.logits(self.hidden(tokens))


@dataclass(frozen=True, kw_only=True)
class WritingSubject(Subject):
    """An arm that decodes: `tokens` are its prompts without padding, after which it writes `new_tokens`
    tokens. A translator's prompt is its first token.
    """

    new_tokens: int
    cache: CacheKind

    @property
    def decodable(self) -> Scorer:
        """The model, bound to its sources if it has any."""
        model: Any = self.model
        bound: Scorer = model if self.sources is None else model.bind(self.sources, self.sources != 0)
        return bound


@dataclass(frozen=True, kw_only=True)
class DecodingSubject(WritingSubject):
    """An arm that decodes with a model that has no encoder."""

    model: Transformer | OwnDecoder


@dataclass(frozen=True, kw_only=True)
class TrainingSubject(Subject):
    """An arm that trains. `build` gives its model in the first state, as often as it is called, and `updater`
    gives what makes updates of a model, as the only process or in the layout that is its second argument.
    Both can be sent to other processes.

    `micro_batches` are the first ones of the arm's own data; an update takes `accumulate` of them. `compiles`
    says whether the arm has torch compile the step; the updaters made here never do. `parallel` are the arm's
    processes.
    """

    config: ModelConfig | EncoderDecoderConfig | OwnDecoderConfig
    build: Callable[..., Transformer | EncoderDecoder | OwnDecoder]
    updater: Callable[..., Updater]
    micro_batches: Sequence[MicroBatch]
    accumulate: int
    schedule: Schedule
    compiles: bool
    parallel: Parallel = ONE_PROCESS

    def updates(self, count: int) -> list[Sequence[MicroBatch]]:
        """The micro-batches of each of the first `count` updates, or of fewer if there are not so many."""
        starts = range(0, len(self.micro_batches) - self.accumulate + 1, self.accumulate)
        return [self.micro_batches[start : start + self.accumulate] for start in starts][:count]

"""What a training reads: batches of the training split, and batches to evaluate on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from harness.data.batches import PackedBatches, evaluation_batches, token_array
from harness.data.content import Corpus
from harness.data.pairs import BucketedBatches, PairBatches, PairTokens, pair_evaluation_batches, pair_tokens
from harness.data.stream import Batch, BatchStream
from harness.data.tokenizer import EOS_ID, Tokenizer
from harness.errors import CorpusError

EVALUATION_ROWS = 64
"""Translations that are evaluated together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSizes:
    """How much text a training takes: `update` rows per update, in micro-batches of `micro_batch` rows of at
    most `length` tokens.

    With `by_tokens`, both sizes are numbers of tokens instead.
    """

    update: int
    micro_batch: int
    by_tokens: bool
    length: int
    evaluation_tokens: int


@dataclass(frozen=True, slots=True)
class EvaluatedText:
    """The text that an evaluation reads: what the model predicts, and the sources if it translates. `size` is
    the bytes that the predicted tokens stand for.
    """

    targets: tuple[str, ...]
    size: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingText:
    """Endless micro-batches, and a new pass over the evaluation's batches per call. `evaluated` decodes the
    text of these batches.
    """

    training: BatchStream
    evaluation: Callable[[], Iterable[Batch]]
    evaluated: Callable[[], EvaluatedText]


def packed_text(sizes: BatchSizes, corpus: Corpus, tokenizer: Tokenizer, seed: int) -> TrainingText:
    """Running text for a decoder.

    Raises CorpusError if it is shorter than one update, or if there is no text to evaluate on.
    """
    rows, length = sizes.micro_batch, sizes.length
    tokens = token_array(corpus, "train", tokenizer)
    training = PackedBatches(tokens, length=length, batch=rows, seed=seed)
    if training.windows < sizes.update:
        raise CorpusError(
            f"corpus {corpus.name!r} has {training.windows} windows of {length} tokens, "
            f"but an update takes {sizes.update}",
            hint="use a smaller batch, a shorter length or a larger corpus",
        )
    held_out = token_array(corpus, "valid", tokenizer)[: sizes.evaluation_tokens + 1]
    evaluation = partial(evaluation_batches, held_out, length=length, batch=rows)
    evaluation()  # refuses a text that is too short now, and not after many updates

    def evaluated() -> EvaluatedText:
        ids = held_out[1:].tolist()
        return EvaluatedText((tokenizer.decode(ids),), len(tokenizer.decode_bytes(ids)))

    return TrainingText(training=training, evaluation=evaluation, evaluated=evaluated)


def paired_text(sizes: BatchSizes, corpus: Corpus, tokenizer: Tokenizer, seed: int) -> TrainingText:
    """Translations for an encoder-decoder.

    Raises CorpusError if they are fewer than one update takes, or if there are none to evaluate on.
    """
    pairs = pair_tokens(corpus, "train", tokenizer)
    held_out = pair_tokens(corpus, "valid", tokenizer)
    training = _pair_batches(sizes, pairs, sizes.update, seed)  # refuses a corpus that is too small
    if sizes.micro_batch != sizes.update:
        training = _pair_batches(sizes, pairs, sizes.micro_batch, seed)
    evaluation = partial(
        pair_evaluation_batches,
        held_out,
        length=sizes.length,
        target_tokens=sizes.evaluation_tokens,
        rows=EVALUATION_ROWS,
    )
    evaluation()  # refuses a split without a pair now, and not after many updates

    def evaluated() -> EvaluatedText:
        batches = list(evaluation())
        sides = [
            [tokenizer.decode(row[row > EOS_ID]) for batch in batches for row in batch[side]]
            for side in (0, 2)
        ]
        pairs = sorted(zip(*sides, strict=True))  # batches are sorted by numbers of tokens
        sources, targets = zip(*pairs, strict=True)
        return EvaluatedText(targets, sum(len(target.encode()) for target in targets), sources)

    return TrainingText(training=training, evaluation=evaluation, evaluated=evaluated)


def _pair_batches(sizes: BatchSizes, pairs: PairTokens, size: int, seed: int) -> BatchStream:
    if sizes.by_tokens:
        return BucketedBatches(pairs, length=sizes.length, tokens=size, seed=seed)
    return PairBatches(pairs, length=sizes.length, rows=size, seed=seed)

"""What a training reads: batches of the training split, and those to evaluate on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness.data.batches import PackedBatches, evaluation_batches, token_array
from harness.data.pairs import BucketedBatches, PairBatches, PairTokens, pair_evaluation_batches, pair_tokens
from harness.data.stream import Batch, BatchStream
from harness.errors import CorpusError
from harness.tasks.training_task import TokenBudget

if TYPE_CHECKING:
    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer
    from harness.tasks.train import Train

EVALUATION_ROWS = 64
"""Translations that are evaluated together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingText:
    """Micro-batches without end, and a new pass over the evaluation's batches whenever it is asked for."""

    training: BatchStream
    evaluation: Callable[[], Iterable[Batch]]


def packed_text(task: Train, corpus: Corpus, tokenizer: Tokenizer, seed: int) -> TrainingText:
    """Running text for a decoder.

    CorpusError: it is shorter than one update, or there is none to evaluate on.
    """
    rows, length = task.micro_batch, task.length
    tokens = token_array(corpus, "train", tokenizer)
    training = PackedBatches(tokens, length=length, batch=rows, seed=seed)
    if training.windows < task.batch_size:
        raise CorpusError(
            f"corpus {corpus.name!r} has {training.windows} windows of {length} tokens, and an update takes {task.batch_size}",
            hint="use a smaller batch, a shorter length or a larger corpus",
        )
    held_out = token_array(corpus, "valid", tokenizer)[: task.evaluation_tokens + 1]
    evaluation = partial(evaluation_batches, held_out, length=length, batch=rows)
    evaluation()  # refuses a text that is too short now, not after so many updates
    return TrainingText(training=training, evaluation=evaluation)


def paired_text(task: Train, corpus: Corpus, tokenizer: Tokenizer, seed: int) -> TrainingText:
    """Translations for an encoder-decoder.

    CorpusError: they are fewer than one update takes, or none to evaluate on.
    """
    pairs = pair_tokens(corpus, "train", tokenizer)
    held_out = pair_tokens(corpus, "valid", tokenizer)
    training = _pair_batches(task, pairs, task.batch_size, seed)  # refuses a corpus that is too small
    if task.accumulate > 1:
        training = _pair_batches(task, pairs, task.micro_batch, seed)
    evaluation = partial(
        pair_evaluation_batches,
        held_out,
        length=task.length,
        target_tokens=task.evaluation_tokens,
        rows=EVALUATION_ROWS,
    )
    evaluation()  # refuses a split without a pair now, not after so many updates
    return TrainingText(training=training, evaluation=evaluation)


def _pair_batches(task: Train, pairs: PairTokens, size: int, seed: int) -> BatchStream:
    if isinstance(task.batch, TokenBudget):
        return BucketedBatches(pairs, length=task.length, tokens=size, seed=seed)
    return PairBatches(pairs, length=task.length, rows=size, seed=seed)

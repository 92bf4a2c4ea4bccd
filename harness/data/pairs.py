"""Translation pairs as ids, and batches of them. B rows, S source and T target tokens, padded on the right.

A source ends in eos. A decoder's inputs begin with bos and its targets end in eos. Padding of targets is
IGNORED_TARGET.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data.batches import Ids, cached_ids
from harness.data.stream import Batch, BatchStream, StreamPosition, shuffled
from harness.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from harness.errors import CorpusError
from harness.models.config import IGNORED_TARGET

if TYPE_CHECKING:
    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer

POOL = 100
"""The number of batches whose pairs are sorted by length together. Larger pools need less padding, but their
batches are less random.
"""

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SentenceIds:
    """The ids of many sentences in one read-only array; sentence i is ids[starts[i]:ends[i]]."""

    ids: Ids
    starts: Indices
    ends: Indices

    @property
    def lengths(self) -> Indices:
        return self.ends - self.starts

    def __len__(self) -> int:
        return len(self.starts)

    def subset(self, indices: Indices) -> SentenceIds:
        return SentenceIds(self.ids, self.starts[indices], self.ends[indices])

    def padded(self, rows: Indices, width: int) -> NDArray[np.int64]:
        """The sentences `rows` as (B, width) int64, with PAD_ID after the end of each."""
        indices = self.starts[rows][:, None] + np.arange(width)  # (B, width)
        inside = np.arange(width) < self.lengths[rows][:, None]
        ids = self.ids[np.minimum(indices, len(self.ids) - 1)].astype(np.int64)
        return np.where(inside, ids, PAD_ID)


@dataclass(frozen=True, slots=True)
class PairTokens:
    """Source i and target i are a pair."""

    source: SentenceIds
    target: SentenceIds

    def __len__(self) -> int:
        return len(self.source)

    @property
    def lengths(self) -> Indices:
        """The number of tokens of the longer side of each pair, with its eos."""
        return np.maximum(self.source.lengths, self.target.lengths) + 1

    def at_most(self, length: int) -> PairTokens:
        """The pairs with at most `length` tokens per side."""
        short = np.flatnonzero(self.lengths <= length)
        return PairTokens(self.source.subset(short), self.target.subset(short))

    def batch(self, rows: Indices, source_width: int, target_width: int) -> Batch:
        """The source (B, S), the decoder's inputs (B, T) and the targets (B, T) of the pairs `rows`."""
        source = self.source.padded(rows, source_width)
        target = self.target.padded(rows, target_width)
        row = np.arange(len(rows))
        source[row, self.source.lengths[rows]] = EOS_ID
        inputs = np.concatenate([np.full((len(rows), 1), BOS_ID), target[:, :-1]], axis=1)
        counted = np.arange(target_width) <= self.target.lengths[rows][:, None]
        target[row, self.target.lengths[rows]] = EOS_ID
        return source, inputs, np.where(counted, target, IGNORED_TARGET)

    def narrowest(self, rows: Indices) -> Batch:
        """The batch of the pairs `rows`, with each side as wide as its longest sentence."""
        return self.batch(
            rows, int(self.source.lengths[rows].max()) + 1, int(self.target.lengths[rows].max()) + 1
        )


def pair_tokens(corpus: Corpus, split: str, tokenizer: Tokenizer) -> PairTokens:
    """The pairs of a split, tokenised once and memory-mapped. Raises CorpusError as `Corpus.pairs` does."""
    return PairTokens(_side(corpus, split, tokenizer, "source"), _side(corpus, split, tokenizer, "target"))


def _side(corpus: Corpus, split: str, tokenizer: Tokenizer, side: str) -> SentenceIds:
    """One side of the pairs. The text has one sentence per line. No token contains a line end and anything
    else, so that the ids can be divided into sentences again.
    """

    def lines() -> str:
        return "".join(f"{getattr(pair, side)}\n" for pair in corpus.pairs(split))

    ids = cached_ids(corpus, f"{split}/{side}", tokenizer, lines)
    (line_end,) = tokenizer.encode("\n")
    ends = np.flatnonzero(ids == line_end)
    return SentenceIds(ids, np.concatenate([[0], ends[:-1] + 1]), ends)


class PairBatches(BatchStream):
    """Every pair once per epoch, in a new order each time. A batch has `rows` pairs, padded to `length`; the
    last, incomplete batch is left out.
    """

    def __init__(self, pairs: PairTokens, *, length: int, rows: int, seed: int) -> None:
        super().__init__()
        self._pairs, self._length, self._rows, self._seed = pairs.at_most(length), length, rows, seed
        self.batches = len(self._pairs) // rows
        if self.batches == 0:
            raise CorpusError(
                f"there are only {len(self._pairs)} pairs of at most {length} tokens per side, "
                f"but a batch takes {rows}",
                hint="use a smaller batch, a greater length or a larger corpus",
            )
        self._order = shuffled(len(self._pairs), seed)

    def make(self, position: StreamPosition) -> Batch:
        epoch, index = position
        rows = self._order(epoch)[index * self._rows : (index + 1) * self._rows]
        return self._pairs.batch(rows, self._length, self._length)

    def following(self, position: StreamPosition) -> StreamPosition:
        epoch, index = position
        return (epoch, index + 1) if index + 1 < self.batches else (epoch + 1, 0)

    def identity(self) -> dict[str, int]:
        return {
            "pairs": len(self._pairs),
            "length": self._length,
            "rows": self._rows,
            "seed": self._seed,
        }


class BucketedBatches(BatchStream):
    """Every pair once per epoch, in batches of similar length. A batch has as many rows as fit into `tokens`
    tokens on each side, padding included.

    Pairs are shuffled and divided into pools of about POOL batches. Each pool is sorted by the longer side,
    the source and the target, and divided into batches, which are shuffled again. A batch is as wide as its
    longest sentences: if widths were rounded up to few shapes, a third of the tokens of short sentences would
    be padding.
    """

    def __init__(self, pairs: PairTokens, *, length: int, tokens: int, seed: int) -> None:
        super().__init__()
        self._pairs, self._length, self._tokens, self._seed = pairs.at_most(length), length, tokens, seed
        if tokens < length:
            raise CorpusError(
                f"a batch of {tokens} tokens has no room for a pair of {length} tokens per side",
                hint="use a larger batch or a smaller length",
            )
        if int(self._pairs.lengths.sum()) < tokens:
            raise CorpusError(
                f"the {len(self._pairs)} pairs of at most {length} tokens per side have fewer tokens than "
                f"one batch of {tokens}",
                hint="use a smaller batch, a greater length or a larger corpus",
            )
        # The last epoch is remembered. If threads ask for two epochs, one of them is computed again, with the
        # same result.
        self._epoch = lru_cache(maxsize=1)(self._batches_of)

    def make(self, position: StreamPosition) -> Batch:
        epoch, index = position
        return self._pairs.narrowest(self._epoch(epoch)[index])

    def following(self, position: StreamPosition) -> StreamPosition:
        epoch, index = position
        return (epoch, index + 1) if index + 1 < len(self._epoch(epoch)) else (epoch + 1, 0)

    def identity(self) -> dict[str, int]:
        return {
            "pairs": len(self._pairs),
            "length": self._length,
            "tokens": self._tokens,
            "seed": self._seed,
        }

    def _batches_of(self, epoch: int) -> list[Indices]:
        """The rows of each batch of one epoch."""
        random = np.random.default_rng([self._seed, epoch])
        order, lengths = random.permutation(len(self._pairs)), self._pairs.lengths
        by_length = (
            self._pairs.target.lengths,
            self._pairs.source.lengths,
            lengths,
        )  # np.lexsort sorts by the last key first
        in_pool = max(1, POOL * self._tokens // max(1, int(lengths.mean())))
        batches: list[Indices] = []
        for start in range(0, len(order), in_pool):
            pool = order[start : start + in_pool]
            pool = pool[np.lexsort([key[pool] for key in by_length])]
            begin = 0
            for end, width in enumerate(lengths[pool]):
                if (end + 1 - begin) * width > self._tokens:
                    batches.append(pool[begin:end])
                    begin = end
            batches.append(pool[begin:])
        return [batches[index] for index in random.permutation(len(batches))]


def pair_evaluation_batches(
    pairs: PairTokens, *, length: int, target_tokens: int, rows: int
) -> Iterator[Batch]:
    """The first pairs of at most `length` tokens per side that have `target_tokens` together, sorted by
    length. Each target comes once.

    Raises CorpusError if there are none.
    """
    held = pairs.at_most(length)
    if len(held) == 0:
        raise CorpusError(
            f"there is no pair of at most {length} tokens per side to evaluate on",
            hint="use a greater length or a longer split",
        )
    taken = int(np.searchsorted(np.cumsum(held.target.lengths + 1), target_tokens)) + 1
    order = np.argsort(held.lengths[:taken], kind="stable")
    return _pairs_in_order(held, order, rows)


def _pairs_in_order(pairs: PairTokens, order: Indices, rows: int) -> Iterator[Batch]:
    for start in range(0, len(order), rows):
        yield pairs.narrowest(order[start : start + rows])

"""From the ids of a split to what a step takes. All arrays of a batch are int64 of shape (B, T): B rows, T positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.config import digest
from harness.data.cache import TRAILER, cache_dir, read_checksummed, write_checksummed
from harness.errors import CorpusError

if TYPE_CHECKING:
    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer

IGNORE_INDEX = -100

Ids = NDArray[Any]
Batch = tuple[NDArray[np.int64], NDArray[np.int64]]


def token_array(corpus: Corpus, split: str, tokenizer: Tokenizer) -> Ids:
    """The ids of a split of running text, memory-mapped and read-only, of shape (tokens,), uint16 or uint32.

    Tokenised once, and cached by the content of the corpus and the tokenizer. CorpusError: as for `Corpus.text`.
    """
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)
    key = digest({"corpus": corpus.digest, "split": split, "tokenizer": tokenizer.digest})
    path = cache_dir() / "tokens" / key
    if read_checksummed(path) is None:
        write_checksummed(path, tokenizer.encode_array(corpus.text(split)).astype(dtype).tobytes())
    count = (path.stat().st_size - TRAILER) // dtype.itemsize
    return np.memmap(path, dtype=dtype, mode="r", shape=(count,))


class PackedBatches:
    """An endless stream of (inputs, targets): windows of `length` ids, in a new order each epoch; targets are one id ahead.

    The order is a function of seed and epoch alone, so a position says everything: `restore(state())` goes on exactly there.
    Windows do not overlap, and ids after the last whole window are left out. CorpusError: not even one window.
    """

    def __init__(self, tokens: Ids, *, length: int, batch: int, seed: int) -> None:
        self.windows = max(0, len(tokens) - 1) // length
        if self.windows == 0:
            raise CorpusError(f"{len(tokens)} tokens are too few for one window of {length} and its targets")
        self._tokens, self._length, self._batch, self._seed = tokens, length, batch, seed
        self._position = 0  # windows given out so far, over all epochs
        self._order = (-1, np.empty(0, dtype=np.int64))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        batch = self._at(self._position)
        self._position += self._batch
        return batch

    def first(self) -> Batch:
        """The batch at the beginning of the stream, which stays where it is."""
        return self._at(0)

    def _at(self, position: int) -> Batch:
        windows = np.array(
            [self._window(position + row) for row in range(self._batch)], dtype=np.int64
        )  # (B,)
        chunk = self._tokens[windows[:, None] * self._length + np.arange(self._length + 1)]  # (B, T + 1)
        return chunk[:, :-1].astype(np.int64), chunk[:, 1:].astype(np.int64)

    def state(self) -> dict[str, int]:
        """Plain data for a checkpoint."""
        return {
            "position": self._position,
            "windows": self.windows,
            "length": self._length,
            "seed": self._seed,
        }

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on where `state` was taken. ValueError: it was taken from other tokens, another length or seed."""
        if {**state, "position": 0} != {**self.state(), "position": 0}:
            raise ValueError(f"a position in another stream: {dict(state)}, and this one is {self.state()}")
        self._position = state["position"]

    def _window(self, place: int) -> int:
        epoch, index = divmod(place, self.windows)
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([self._seed, epoch]).permutation(self.windows))
        return int(self._order[1][index])


def evaluation_batches(tokens: Ids, *, length: int, batch: int) -> Iterator[Batch]:
    """Batches in order, in which every id but the first is a target exactly once; the rest of the last one is IGNORE_INDEX.

    All batches have the same shape. CorpusError: fewer than two ids.
    """
    if len(tokens) < 2:
        raise CorpusError(f"{len(tokens)} tokens are too few to evaluate on")
    return _in_order(tokens, length, batch)


def _in_order(tokens: Ids, length: int, batch: int) -> Iterator[Batch]:
    for start in range(0, len(tokens) - 1, batch * length):
        chunk = tokens[start : start + batch * length + 1].astype(np.int64)
        inputs = np.zeros(batch * length, dtype=np.int64)
        targets = np.full(batch * length, IGNORE_INDEX, dtype=np.int64)
        inputs[: len(chunk) - 1], targets[: len(chunk) - 1] = chunk[:-1], chunk[1:]
        yield inputs.reshape(batch, length), targets.reshape(batch, length)


def prompts(tokens: Ids, *, count: int, length: int, seed: int) -> NDArray[np.int64]:
    """`count` windows of `length` ids, chosen by `seed`, none overlapping another: (count, length) int64.

    CorpusError: the split does not hold so many.
    """
    windows = len(tokens) // length
    if count > windows:
        raise CorpusError(
            f"{count} prompts of {length} tokens were asked for, and a split of {len(tokens):,} tokens holds {windows}",
            hint="ask for fewer or shorter ones, or use a longer split",
        )
    chosen = np.random.default_rng(seed).permutation(windows)[:count]
    ids: NDArray[np.int64] = tokens[chosen[:, None] * length + np.arange(length)].astype(np.int64)
    return ids

"""The ids of a split, and batches of them.

All arrays of a batch are int64 of shape (B, T): B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.config import digest
from harness.data.cache import TRAILER, cache_dir, read_checksummed, write_checksummed
from harness.data.stream import Batch, BatchStream, StreamPosition, shuffled
from harness.errors import CorpusError
from harness.models.config import IGNORED_TARGET

if TYPE_CHECKING:
    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer

Ids = NDArray[Any]


def token_array(corpus: Corpus, split: str, tokenizer: Tokenizer) -> Ids:
    """The ids of a split of running text, memory-mapped and read-only, of shape (tokens,), uint16 or uint32.

    The text is tokenised once and cached by the content of the corpus and the tokenizer. Raises CorpusError
    as `Corpus.text` does.
    """
    return cached_ids(corpus, split, tokenizer, lambda: corpus.text(split))


def cached_ids(corpus: Corpus, part: str, tokenizer: Tokenizer, text: Callable[[], str]) -> Ids:
    """The ids of the part of a corpus that has this `text`, which is tokenised unless they are cached."""
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)
    key = digest({"corpus": corpus.digest, "split": part, "tokenizer": tokenizer.digest})
    path = cache_dir() / "tokens" / key
    if read_checksummed(path) is None:
        write_checksummed(path, tokenizer.encode_array(text()).astype(dtype).tobytes())
    count = (path.stat().st_size - TRAILER) // dtype.itemsize
    return np.memmap(path, dtype=dtype, mode="r", shape=(count,))


class PackedBatches(BatchStream):
    """Batches (inputs, targets) of `batch` windows of `length` ids, in a new order each epoch; targets are
    one id ahead.

    Windows do not overlap, and ids after the last complete window are left out. The order of windows depends
    on the seed and not on `batch`. Raises CorpusError if there is not even one batch.
    """

    def __init__(self, tokens: Ids, *, length: int, batch: int, seed: int) -> None:
        super().__init__()
        self.windows = max(0, len(tokens) - 1) // length
        if self.windows < batch:
            raise CorpusError(
                f"{len(tokens):,} tokens give {self.windows} windows of length {length}, "
                f"but a batch takes {batch}",
                hint="use a smaller batch, a shorter length or a larger corpus",
            )
        self._tokens, self._length, self._batch, self._seed = tokens, length, batch, seed
        self._order = shuffled(self.windows, seed)

    def make(self, position: StreamPosition) -> Batch:
        """The position is (number of windows before the batch, 0)."""
        indices = range(position[0], position[0] + self._batch)
        windows = np.array([self._window(index) for index in indices], dtype=np.int64)  # (B,)
        chunk = self._tokens[windows[:, None] * self._length + np.arange(self._length + 1)]  # (B, T + 1)
        return chunk[:, :-1].astype(np.int64), chunk[:, 1:].astype(np.int64)

    def following(self, position: StreamPosition) -> StreamPosition:
        return (position[0] + self._batch, 0)

    def identity(self) -> dict[str, int]:
        return {"windows": self.windows, "length": self._length, "seed": self._seed}

    def _window(self, count: int) -> int:
        """The window that comes after `count` others."""
        epoch, index = divmod(count, self.windows)
        return int(self._order(epoch)[index])


def evaluation_batches(tokens: Ids, *, length: int, batch: int) -> Iterator[Batch]:
    """Batches in order, in which every id except the first is a target exactly once. The rest of the last
    batch is IGNORED_TARGET, so that all batches have the same shape.

    Raises CorpusError if there are fewer than two ids.
    """
    if len(tokens) < 2:
        raise CorpusError(
            f"the text to evaluate on has {len(tokens)} tokens, but at least 2 are needed",
            hint="use a longer split",
        )
    return _in_order(tokens, length, batch)


def _in_order(tokens: Ids, length: int, batch: int) -> Iterator[Batch]:
    for start in range(0, len(tokens) - 1, batch * length):
        chunk = tokens[start : start + batch * length + 1].astype(np.int64)
        inputs = np.zeros(batch * length, dtype=np.int64)
        targets = np.full(batch * length, IGNORED_TARGET, dtype=np.int64)
        inputs[: len(chunk) - 1], targets[: len(chunk) - 1] = chunk[:-1], chunk[1:]
        yield inputs.reshape(batch, length), targets.reshape(batch, length)


def prompts(tokens: Ids, *, count: int, length: int, seed: int) -> NDArray[np.int64]:
    """`count` windows of `length` ids, (count, length) int64. The seed chooses them, and they do not overlap.

    Raises CorpusError if the split has fewer windows.
    """
    windows = len(tokens) // length
    if count > windows:
        raise CorpusError(
            f"{count} prompts of {length} tokens are needed, "
            f"but a split of {len(tokens):,} tokens has {windows}",
            hint="use fewer or shorter prompts, or a longer split",
        )
    chosen = np.random.default_rng(seed).permutation(windows)[:count]
    ids: NDArray[np.int64] = tokens[chosen[:, None] * length + np.arange(length)].astype(np.int64)
    return ids

"""The ids of a split, and batches of them.

All arrays of a batch are int64 of shape (B, T): B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of `length` ids, which do not overlap. `cuts` are the positions in a window, besides its ends,
    at which it is cut. `inside_characters` is that of the tokenizer.
    """

    length: int
    cuts: tuple[int, ...] = ()
    inside_characters: NDArray[np.bool_]

    def drawn(self, tokens: Ids, *, count: int, seed: int) -> NDArray[np.int64]:
        """`count` windows, (count, length) int64. The seed chooses them.

        They are taken from windows side by side, except those that are cut inside a character. If too few
        are left, windows need not be side by side, and if even then there are too few, some are cut inside
        characters. Raises CorpusError if the split has fewer windows.
        """
        beside = np.arange(len(tokens) // self.length) * self.length
        if count > len(beside):
            raise CorpusError(
                f"{count} prompts of {self.length} tokens are needed, "
                f"but a split of {len(tokens):,} tokens has {len(beside)}",
                hint="use fewer or shorter prompts, or a longer split",
            )
        random = np.random.default_rng(seed)
        order = random.permutation(len(beside))
        clean = self._are_clean(tokens, beside[order])
        starts = beside[order[np.argsort(~clean, kind="stable")]]
        if clean.sum() < count and len(others := self._clean_starts(tokens)) >= count:
            starts = random.permutation(others)
        ids: NDArray[np.int64] = tokens[starts[:count, None] + np.arange(self.length)].astype(np.int64)
        return ids

    def _are_clean(self, tokens: Ids, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the windows are cut between characters only."""
        clean = np.ones(len(starts), dtype=np.bool_)
        for cut in (0, *self.cuts, self.length):
            at = starts + cut
            known = at < len(tokens)  # the end of the text is no place inside a character
            clean[known] &= ~self.inside_characters[tokens[at[known]]]
        return clean

    def _clean_starts(self, tokens: Ids) -> NDArray[np.int64]:
        """The starts of as many windows as there are that are cut between characters only."""
        possible = np.arange(len(tokens) - self.length + 1)
        clean = possible[self._are_clean(tokens, possible)]
        starts, index = [], 0
        while index < len(clean):
            starts.append(clean[index])
            index = int(np.searchsorted(clean, clean[index] + self.length))
        return np.array(starts, dtype=np.int64)

"""Endless streams of batches, which any number of threads may prepare ahead. The order of the batches depends
only on the settings of the stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Batch = tuple[NDArray[np.int64], ...]
StreamPosition = tuple[int, int]


class BatchStream(ABC):
    """The position is the whole state: `restore(state())` continues exactly there.

    Threads make batches too, so `make` changes nothing that they share.
    """

    def __init__(self) -> None:
        self.position: StreamPosition = (0, 0)

    @abstractmethod
    def make(self, position: StreamPosition) -> Batch:
        """The batch at a position: inputs and targets, both (rows, length)."""

    @abstractmethod
    def following(self, position: StreamPosition) -> StreamPosition: ...

    @abstractmethod
    def identity(self) -> dict[str, int]:
        """What the order depends on. A position is only valid in a stream with the same identity."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        batch = self.make(self.position)
        self.position = self.following(self.position)
        return batch

    def first(self) -> Batch:
        """The batch at the beginning, whatever the position of the stream is."""
        return self.make((0, 0))

    def state(self) -> dict[str, Any]:
        """The position and the identity as plain data for a checkpoint."""
        return {"position": list(self.position), **self.identity()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue at the position of `state`.

        Raises ValueError if the state belongs to a stream with other tokens, another length or seed.
        """
        if {**state, "position": None} != {**self.state(), "position": None}:
            raise ValueError(
                f"the saved position belongs to another stream: {dict(state)}, but this one is {self.state()}"
            )
        first, second = state["position"]
        self.position = (first, second)


def shuffled(count: int, seed: int) -> Callable[[int], NDArray[np.int64]]:
    """The order of `count` items in an epoch, as a function of the epoch. The last order is remembered."""
    return lru_cache(maxsize=1)(lambda epoch: np.random.default_rng([seed, epoch]).permutation(count))


class Prefetched:
    """The batches of `stream` in the same order, of which `workers` threads make `ahead` in advance."""

    def __init__(self, stream: BatchStream, *, workers: int, ahead: int) -> None:
        self._stream, self._ahead = stream, max(workers, ahead)
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="batches")
        self._made: deque[tuple[StreamPosition, Future[Batch]]] = deque()
        self._next = stream.position

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        while len(self._made) <= self._ahead:
            self._made.append((self._next, self._pool.submit(self._stream.make, self._next)))
            self._next = self._stream.following(self._next)
        position, future = self._made.popleft()
        batch = future.result()
        self._stream.position = self._stream.following(position)
        return batch

    def state(self) -> dict[str, Any]:
        """The state of the stream after the last batch that was returned."""
        return self._stream.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue at the position of `state`. Batches that were made in advance are discarded."""
        self._stream.restore(state)
        self._made.clear()
        self._next = self._stream.position

    def close(self) -> None:
        """End the threads. Batches that were made in advance are discarded."""
        self._pool.shutdown(wait=True, cancel_futures=True)

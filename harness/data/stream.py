"""Endless streams of batches whose order is a function of their settings alone, made ahead by any number of
workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Batch = tuple[NDArray[np.int64], ...]
Position = tuple[int, int]


class BatchStream(ABC):
    """A position says everything: `restore(state())` goes on exactly there.

    Batches are made by threads too, so `make` shares nothing.
    """

    def __init__(self) -> None:
        self.position: Position = (0, 0)

    @abstractmethod
    def make(self, position: Position) -> Batch:
        """The batch at a position: inputs, then targets, each (rows, length)."""

    @abstractmethod
    def following(self, position: Position) -> Position: ...

    @abstractmethod
    def identity(self) -> dict[str, int]:
        """What the order depends on: a position means something in a stream of equal identity only."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        batch = self.make(self.position)
        self.position = self.following(self.position)
        return batch

    def first(self) -> Batch:
        """The batch at the beginning, wherever the stream is."""
        return self.make((0, 0))

    def state(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"position": list(self.position), **self.identity()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken.

        ValueError: it was taken from other tokens, another length or seed.
        """
        if {**state, "position": None} != {**self.state(), "position": None}:
            raise ValueError(f"a position in another stream: {dict(state)}, and this one is {self.state()}")
        first, second = state["position"]
        self.position = (first, second)


class Prefetched:
    """The batches of `stream` in its own order, `ahead` of them made before they are asked for, by `workers`
    threads.
    """

    def __init__(self, stream: BatchStream, *, workers: int, ahead: int) -> None:
        self._stream, self._ahead = stream, max(workers, ahead)
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="batches")
        self._made: deque[tuple[Position, Future[Batch]]] = deque()
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
        """As of the stream's: what was made ahead and not given out does not count."""
        return self._stream.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """As of the stream's; what was made ahead is thrown away."""
        self._stream.restore(state)
        self._made.clear()
        self._next = self._stream.position

    def close(self) -> None:
        """End the threads; what they are making is thrown away."""
        self._pool.shutdown(wait=True, cancel_futures=True)

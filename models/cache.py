"""Keys and values of past tokens, kept so that a decoding step computes only its own.

B batch, H heads, T new tokens, S = length + T, D width of a head. Use them under `torch.inference_mode()`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.config import DOUBLING_FIRST_CAPACITY, CacheKind


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheShape:
    """`capacity` is the number of positions that will be held at most."""

    layers: int
    batch: int
    heads: int
    width: int
    capacity: int
    dtype: torch.dtype
    device: torch.device


class Cache(ABC):
    """What every kind offers. The key-padding mask is kept beside the keys that it speaks of."""

    def __init__(self) -> None:
        self._valid: Tensor | None = None  # (B, length), True = a real token; None while nothing is padded

    @property
    @abstractmethod
    def length(self) -> int:
        """Positions held by every layer."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of the real tensors of keys and values, capacity that is not used yet included."""

    @abstractmethod
    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add (B, H, T, D) to a layer and return all of its keys and values, each (B, H, S, D)."""

    def append_valid(self, valid: Tensor | None, *, batch: int, tokens: int) -> Tensor | None:
        """Add the mask (B, T) of new tokens, None = all real, before the layers append; returns it for all S."""
        if valid is None and self._valid is None:
            return None
        past = self.length
        device = valid.device if valid is not None else self._valid.device  # type: ignore[union-attr]
        old = self._valid if self._valid is not None else _all_real(batch, past, device)
        new = valid if valid is not None else _all_real(batch, tokens, device)
        self._valid = torch.cat((old, new), dim=1)
        return self._valid


class DynamicCache(Cache):
    """Concatenates: exactly the bytes that are needed, and a copy of everything at every step."""

    def __init__(self, shape: CacheShape) -> None:
        super().__init__()
        self._keys: list[Tensor | None] = [None] * shape.layers
        self._values: list[Tensor | None] = [None] * shape.layers

    @property
    def length(self) -> int:
        last = self._keys[-1]
        return 0 if last is None else last.shape[2]

    @property
    def nbytes(self) -> int:
        return _bytes_of(tensor for tensor in (*self._keys, *self._values) if tensor is not None)

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        old_k, old_v = self._keys[layer], self._values[layer]
        if old_k is not None and old_v is not None:
            k, v = torch.cat((old_k, k), dim=2), torch.cat((old_v, v), dim=2)
        self._keys[layer], self._values[layer] = k, v
        return k, v


class _BufferedCache(Cache):
    """Writes into buffers (B, H, capacity, D) and returns views of what is filled."""

    def __init__(self, shape: CacheShape, *, capacity: int) -> None:
        super().__init__()
        size = (shape.batch, shape.heads, capacity, shape.width)
        self._keys, self._values = (
            [torch.empty(size, dtype=shape.dtype, device=shape.device) for _ in range(shape.layers)]
            for _ in range(2)
        )
        self._filled = [0] * shape.layers

    @property
    def length(self) -> int:
        return self._filled[-1]

    @property
    def nbytes(self) -> int:
        return _bytes_of((*self._keys, *self._values))

    @abstractmethod
    def _make_room(self, layer: int, positions: int) -> None:
        """Called when a layer's buffers are too short for that many positions."""

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        start, tokens = self._filled[layer], k.shape[2]
        end = start + tokens
        if end > self._keys[layer].shape[2]:
            self._make_room(layer, end)
        keys, values = self._keys[layer], self._values[layer]
        keys.narrow(2, start, tokens).copy_(k)
        values.narrow(2, start, tokens).copy_(v)
        self._filled[layer] = end
        return keys.narrow(2, 0, end), values.narrow(2, 0, end)


class StaticCache(_BufferedCache):
    """Preallocated to its capacity: no copy of the past, and the same memory from the first token on."""

    def __init__(self, shape: CacheShape) -> None:
        super().__init__(shape, capacity=shape.capacity)

    def _make_room(self, layer: int, positions: int) -> None:
        raise ValueError(f"static cache: {positions} positions, but made for {self._keys[layer].shape[2]}")


class DoublingCache(_BufferedCache):
    """Doubles its capacity when full and copies what it holds: amortised constant work a token."""

    def __init__(self, shape: CacheShape) -> None:
        super().__init__(shape, capacity=DOUBLING_FIRST_CAPACITY)

    def _make_room(self, layer: int, positions: int) -> None:
        capacity = self._keys[layer].shape[2]
        while capacity < positions:
            capacity *= 2
        filled = self._filled[layer]
        self._keys[layer] = grown(self._keys[layer], filled=filled, capacity=capacity)
        self._values[layer] = grown(self._values[layer], filled=filled, capacity=capacity)


def grown(old: Tensor, *, filled: int, capacity: int) -> Tensor:
    """A buffer (B, H, capacity, D) with the first `filled` positions of the old one."""
    batch, heads, _, width = old.shape
    new = old.new_empty((batch, heads, capacity, width))
    new[:, :, :filled] = old[:, :, :filled]
    return new


def make_cache(kind: CacheKind, shape: CacheShape) -> Cache | None:
    """An empty cache of that kind; None for "none"."""
    if kind == "none":
        return None
    classes: dict[str, type[DynamicCache | StaticCache | DoublingCache]] = {
        "dynamic": DynamicCache,
        "static": StaticCache,
        "doubling": DoublingCache,
    }
    return classes[kind](shape)


def _all_real(batch: int, tokens: int, device: torch.device) -> Tensor:
    return torch.ones((batch, tokens), dtype=torch.bool, device=device)


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind the tensors, each counted once."""
    storages = {storage.data_ptr(): storage.nbytes() for storage in (t.untyped_storage() for t in tensors)}
    return sum(storages.values())

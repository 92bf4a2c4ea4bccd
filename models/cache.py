"""Caches of the keys and values of past tokens, so that a decoding step computes only those of its own token.

B batch, H heads, T new tokens, S = length + T, D width of a key or of a value. Use them under
`torch.inference_mode()`. Keys and values of a source (cross-attention) are kept beside them; these are
computed once and never appended to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.models.config import DOUBLING_FIRST_CAPACITY, CachedToken, CacheKind
from harness.models.padding import (
    align_right,
    aligned_mask,
    all_real,
    columns_needed,
    leading_padding,
    unless_all_real,
)

# Up to so many positions a buffer is laid out position by position. The filled part is then one piece of
# memory, which with many rows is read up to twice as fast: row by row, a processor would prefetch what is not
# filled yet. With more positions than that, the positions of a row are too far apart. Measured on a CPU.
FEW_POSITIONS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheShape:
    """`token` is what each layer keeps of one token; `capacity` is the largest number of positions."""

    layers: int
    batch: int
    token: CachedToken
    capacity: int
    dtype: torch.dtype
    device: torch.device


# A row that continues as a copy of another: the other row, the row itself, and how many positions they share.
Move = tuple[int, int, int]


class Cache(ABC):
    """What every kind offers. The padding mask of the keys is kept beside them.

    All rows hold the same number of positions. A row that is shorter than another has padding before it,
    which `append_valid` marks. So rows may be rolled back to different lengths, and the newest key is always
    the last.
    """

    def __init__(self, shape: CacheShape, *, room: int = 0) -> None:
        self._keys, self._values = (
            [_buffer_for(shape, width, room=room) for _ in range(shape.layers)] for width in shape.token[1:]
        )
        self._valid: Tensor | None = None  # (B, length), True = a real token; None without padding
        self._cross: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    @abstractmethod
    def length(self) -> int:
        """The number of positions that every layer holds."""

    @property
    def batch(self) -> int:
        return self._keys[0].shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors of keys and values, including unused capacity and the source's.

        Each storage counts once.
        """
        source = (tensor for pair in self._cross.values() for tensor in pair)
        storages = [tensor.untyped_storage() for tensor in (*self._keys, *self._values, *source)]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    @abstractmethod
    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add (B, H, T, D) to a layer and return all of its keys and values, each (B, H, S, D)."""

    @abstractmethod
    def _take(self, rows: Tensor, first: int) -> None:
        """Let every layer hold only those rows, without the positions before `first`."""

    @abstractmethod
    def _shorten(self, length: int) -> None:
        """Let every layer hold only its first `length` positions."""

    def append_valid(self, valid: Tensor | None, *, batch: int, tokens: int) -> Tensor | None:
        """The mask (B, S) after adding that of the new tokens (B, T), None = all real; call it before layers
        append.
        """
        if valid is None and self._valid is None:
            return None
        past = self.length
        device = valid.device if valid is not None else self._valid.device  # type: ignore[union-attr]
        old = self._valid if self._valid is not None else all_real(batch, past, device)
        new = valid if valid is not None else all_real(batch, tokens, device)
        self._valid = torch.cat((old, new), dim=1)
        return self._valid

    def keep_cross(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Keep a source's keys and values (B, H, S, D) for a layer's cross-attention."""
        self._cross[layer] = (k, v)

    def cross(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """The keys and values from `keep_cross` for the present rows, or None.

        Rows that `keep_rows` multiplied (beams) share one source: the tensors are then (B / n, H, S, D), and
        each of their rows belongs to n neighbours. Cross-attention need not expand them, because without a
        causal mask n neighbouring rows are equivalent to n queries of one row.
        """
        return self._cross.get(layer)

    def reorder(self, rows: Sequence[int], *, shared: Sequence[int] | None = None) -> None:
        """Let row i continue as a copy of what is now row `rows[i]`, a row of the same source.

        Only rows that change are copied, in place, and only after their first `shared[i]` positions, which
        the caller knows to be equal because several beams have them in common.
        """
        known = [0] * len(rows) if shared is None else shared
        length = self.length
        moves = [
            (source, row, known[row])
            for row, source in enumerate(rows)
            if source != row and known[row] < length
        ]
        if moves:
            self._copy(moves)
        if self._valid is not None:
            self._valid = self._valid[torch.tensor(rows, device=self._valid.device)]

    def _copy(self, moves: Sequence[Move]) -> None:
        """Copy rows onto others in every layer, from the first position that any of them does not share."""
        first = min(shared for _, _, shared in moves)
        sources = self._indices([source for source, _, _ in moves])
        targets = self._indices([target for _, target, _ in moves])
        for tensor in self._tensors():
            part = tensor.narrow(-2, first, self.length - first)
            part.index_copy_(-4, targets, part.index_select(-4, sources))

    def _tensors(self) -> list[Tensor]:
        """All keys and values, each (…, B, H, at least `length`, D)."""
        return [*self._keys, *self._values]

    def _indices(self, numbers: list[int]) -> Tensor:
        # numpy reads a list three times as fast as torch.
        return torch.from_numpy(np.array(numbers)).to(self._keys[0].device)

    def keep_rows(self, rows: Tensor) -> None:
        """Keep those rows (B',) in that order and free the others. A row that is named n times becomes n
        rows.

        Positions that are padding in all of these rows are dropped.
        """
        first = 0
        if self._valid is not None:
            self._valid = self._valid[rows]
            first = leading_padding(self._valid)
            self._valid = unless_all_real(self._valid[:, first:])
        self._keep_sources(rows)
        length = self.length - first
        self._take(rows, first)
        self._shorten(length)

    def truncate(self, lengths: int | Tensor) -> None:
        """Roll back to the first `lengths` positions: one number for all rows, or one per row (B,).

        Costs nothing if all rows agree. Otherwise rows are moved so that they end together, with padding
        before them, in as few positions as the longest row needs. Raises ValueError if the cache holds fewer.
        """
        longest = lengths if isinstance(lengths, int) else int(lengths.max())
        if longest > self.length:
            raise ValueError(
                f"the cache cannot be cut to {longest} positions, because it holds {self.length}"
            )
        if isinstance(lengths, Tensor) and int(lengths.min()) < longest:
            valid = all_real(self.batch, self.length, lengths.device) if self._valid is None else self._valid
            longest = columns_needed(valid, lengths)
            for tensor in (*self._keys, *self._values):
                align_right(tensor, lengths, end=longest, dim=2)
            self._valid = unless_all_real(aligned_mask(valid, lengths, end=longest))
        elif self._valid is not None:
            self._valid = unless_all_real(self._valid[:, :longest])
        self._shorten(longest)

    def _keep_sources(self, rows: Tensor) -> None:
        """Keep as few sources as possible, which all belong to the same number of neighbouring rows."""
        if not self._cross:
            return
        count = next(iter(self._cross.values()))[0].shape[0]
        sources, counts = torch.unique_consecutive(rows // (self.batch // count), return_counts=True)
        if int(counts.min()) != int(counts.max()):
            sources = rows // (self.batch // count)
        if len(sources) != count or bool((sources != torch.arange(count, device=rows.device)).any()):
            self._cross = {layer: (k[sources], v[sources]) for layer, (k, v) in self._cross.items()}


class DynamicCache(Cache):
    """Concatenates: it takes exactly the bytes that are needed, and copies everything at every step."""

    @property
    def length(self) -> int:
        return self._keys[-1].shape[2]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        k, v = torch.cat((self._keys[layer], k), dim=2), torch.cat((self._values[layer], v), dim=2)
        self._keys[layer], self._values[layer] = k, v
        return k, v

    def _take(self, rows: Tensor, first: int) -> None:
        self._keys = [tensor[:, :, first:].index_select(0, rows) for tensor in self._keys]
        self._values = [tensor[:, :, first:].index_select(0, rows) for tensor in self._values]

    def _shorten(self, length: int) -> None:
        self._keys = [tensor.narrow(2, 0, length) for tensor in self._keys]
        self._values = [tensor.narrow(2, 0, length) for tensor in self._values]


class _BufferedCache(Cache):
    """Writes into buffers (B, H, capacity, D) and returns views of the filled part."""

    def __init__(self, shape: CacheShape, *, room: int = 0) -> None:
        super().__init__(shape, room=room)
        self._filled = [0] * shape.layers

    @property
    def length(self) -> int:
        return self._filled[-1]

    @abstractmethod
    def _make_room(self, layer: int, positions: int) -> None:
        """Called when the buffers of a layer are too short for that many positions."""

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

    def _shorten(self, length: int) -> None:
        self._filled = [length] * len(self._filled)

    def _copy(self, moves: Sequence[Move]) -> None:
        """If buffers are laid out position by position, copy no more of each row than it lacks."""
        if self._keys[0].shape[2] > FEW_POSITIONS:
            super()._copy(moves)
            return
        length, batch = self.length, self.batch
        end = length * batch
        sources = self._indices(
            [index for source, _, shared in moves for index in range(shared * batch + source, end, batch)]
        )
        targets = self._indices(
            [index for _, target, shared in moves for index in range(shared * batch + target, end, batch)]
        )
        for tensor in self._tensors():
            # A view in the order of the memory, because a write to a copy would be lost.
            stored = tensor.movedim(-2, -4)
            stored = stored.view(*stored.shape[:-4], -1, *stored.shape[-2:])  # (…, capacity · B, H, D)
            stored.index_copy_(-3, targets, stored.index_select(-3, sources))


class StaticCache(_BufferedCache):
    """Preallocated to its capacity: no copy of the past, and the same memory from the first token on.

    All layers share one buffer, so that one call moves rows, and not two per layer. Keys and values of
    different widths have a buffer each.
    """

    def __init__(self, shape: CacheShape) -> None:
        super().__init__(shape)
        _, keys, values = shape.token
        groups = [(2, keys)] if keys == values else [(1, keys), (1, values)]
        self._hold(
            [_buffer_for(shape, width, count, shape.layers, room=shape.capacity) for count, width in groups]
        )

    def _hold(self, buffers: list[Tensor]) -> None:
        self._buffers = buffers
        keys, values = (part for buffer in buffers for part in buffer.unbind())
        self._keys, self._values = list(keys.unbind()), list(values.unbind())

    def _tensors(self) -> list[Tensor]:
        return self._buffers

    def _take(self, rows: Tensor, first: int) -> None:
        count = self.length - first
        self._hold([_rows_of(buffer, rows, axis=2, first=first, count=count) for buffer in self._buffers])

    def _make_room(self, layer: int, positions: int) -> None:
        capacity = self._keys[layer].shape[2]
        raise ValueError(f"a static cache made for {capacity} positions cannot hold {positions}")


class DoublingCache(_BufferedCache):
    """Doubles its capacity when it is full and copies its content: amortised constant work per token."""

    def __init__(self, shape: CacheShape) -> None:
        super().__init__(shape, room=DOUBLING_FIRST_CAPACITY)

    def _take(self, rows: Tensor, first: int) -> None:
        count = self.length - first
        self._keys, self._values = (
            [_rows_of(tensor, rows, axis=0, first=first, count=count) for tensor in tensors]
            for tensors in (self._keys, self._values)
        )

    def _make_room(self, layer: int, positions: int) -> None:
        capacity = self._keys[layer].shape[2]
        while capacity < positions:
            capacity *= 2
        filled = self._filled[layer]
        self._keys[layer] = grown(self._keys[layer], filled=filled, capacity=capacity)
        self._values[layer] = grown(self._values[layer], filled=filled, capacity=capacity)


def _rows_of(buffer: Tensor, rows: Tensor, *, axis: int, first: int, count: int) -> Tensor:
    """A buffer (…, B, H, capacity, D) with only those rows of `axis`, and `count` positions of each from
    `first` on.
    """
    size = list(buffer.shape)
    size[axis] = len(rows)
    taken = _empty(size, like=buffer)
    taken.narrow(-2, 0, count).copy_(buffer.narrow(-2, first, count).index_select(axis, rows))
    return taken


def grown(old: Tensor, *, filled: int, capacity: int) -> Tensor:
    """A buffer (B, H, capacity, D) with the first `filled` positions of the old one."""
    batch, heads, _, width = old.shape
    new = _empty((batch, heads, capacity, width), like=old)
    new[:, :, :filled] = old[:, :, :filled]
    return new


def _empty(size: Sequence[int], *, like: Tensor) -> Tensor:
    """A buffer (…, B, H, capacity, D)."""
    if size[-2] > FEW_POSITIONS:
        return like.new_empty(size)
    *leading, batch, heads, capacity, width = size
    return like.new_empty((*leading, capacity, batch, heads, width)).movedim(-4, -2)


def _buffer_for(shape: CacheShape, width: int, *leading: int, room: int) -> Tensor:
    """An empty buffer (…, B, H, room, width) of a cache."""
    like = torch.empty(0, dtype=shape.dtype, device=shape.device)
    return _empty((*leading, shape.batch, shape.token.heads, room, width), like=like)


def make_cache(kind: CacheKind, shape: CacheShape) -> Cache | None:
    """An empty cache of this kind; None for "none"."""
    if kind == "none":
        return None
    classes: dict[str, type[DynamicCache | StaticCache | DoublingCache]] = {
        "dynamic": DynamicCache,
        "static": StaticCache,
        "doubling": DoublingCache,
    }
    return classes[kind](shape)

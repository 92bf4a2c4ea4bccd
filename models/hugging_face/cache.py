"""A cache of transformers, as decoding here uses it.

R rows, H heads, S positions, D width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.models.padding import (
    align_right,
    aligned_mask,
    all_real,
    columns_needed,
    unless_all_real,
)


class HuggingFaceCache:
    """`states` is a DynamicCache or StaticCache, which the model fills. The padding mask is beside it."""

    def __init__(self, states: Any) -> None:
        self.states = states
        self.length = 0
        self.valid: Tensor | None = None  # (R, S), True = a real token; None without padding

    @property
    def nbytes(self) -> int:
        """Bytes of the memory of keys and values, including unused capacity."""
        storages = [
            tensor.untyped_storage() for layer in self._layers() for tensor in (layer.keys, layer.values)
        ]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    def append_valid(self, valid: Tensor | None, tokens: Tensor) -> Tensor | None:
        """The mask (R, S) of all positions after new tokens (R, T) were added to those that are cached."""
        batch, count = tokens.shape
        if valid is not None or self.valid is not None:
            past = all_real(batch, self.length, tokens.device) if self.valid is None else self.valid
            new = all_real(batch, count, tokens.device) if valid is None else valid
            self.valid = torch.cat((past, new), dim=1)
        self.length += count
        return self.valid

    def keep_rows(self, rows: Tensor) -> None:
        for layer in self._layers():
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]
        if self.valid is not None:
            self.valid = unless_all_real(self.valid[rows])

    def reorder(self, rows: Sequence[int], *, shared: Sequence[int] | None = None) -> None:  # noqa: ARG002
        layer = next(self._layers(), None)
        if layer is not None:
            self.keep_rows(torch.tensor(rows, device=layer.keys.device))

    def truncate(self, lengths: int | Tensor) -> None:
        """Rows of different lengths are aligned on the right, so that they have the same number of
        positions.
        """
        layers = list(self._layers())
        if not layers:
            return
        keys = layers[0].keys
        if isinstance(lengths, int):
            lengths = torch.full((len(keys),), lengths, device=keys.device)
        valid = all_real(len(keys), self.length, keys.device) if self.valid is None else self.valid
        end = columns_needed(valid, lengths)
        for layer in layers:
            for tensor in (layer.keys, layer.values):
                align_right(tensor, lengths, end=end, dim=2)
            if hasattr(layer, "cumulative_length"):  # a static layer, which has a length beside its tensors
                layer.cumulative_length.fill_(end)
            else:
                layer.keys, layer.values = layer.keys[:, :, :end], layer.values[:, :, :end]
        self.valid, self.length = unless_all_real(aligned_mask(valid, lengths, end=end)), end

    def _layers(self) -> Any:
        return (layer for layer in self.states.layers if layer.is_initialized)

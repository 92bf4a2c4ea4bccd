"""A plain GPT with learned positions (Radford et al. 2019), and a cache that keeps one tensor per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.config import CacheKind
from harness.models.own import OwnDecoder

if TYPE_CHECKING:
    from plain_gpt.config import PlainGPTConfig


class KeysAndValues:
    """A cache: for each layer the keys and values (2, B, T, C) of all positions so far.

    `padding` (B,) are the positions at the beginning of each row that are padding.
    """

    def __init__(self, layers: int) -> None:
        self.states: list[Tensor | None] = [None] * layers
        self.padding: Tensor | None = None

    @property
    def length(self) -> int:
        first = self.states[0]
        return 0 if first is None else first.shape[2]

    @property
    def nbytes(self) -> int:
        return sum(state.nbytes for state in self.states if state is not None)

    def append(self, layer: int, keys: Tensor, values: Tensor) -> Tensor:
        """All keys and values of the layer (2, B, T, C), with those (B, T', C) of new positions."""
        new, past = torch.stack((keys, values)), self.states[layer]
        joined = new if past is None else torch.cat((past, new), dim=2)
        self.states[layer] = joined
        return joined

    def keep_rows(self, rows: Tensor) -> None:
        self.states = [None if state is None else state[:, rows] for state in self.states]
        self.padding = None if self.padding is None else self.padding[rows]

    def reorder(self, rows: Sequence[int], *, shared: Sequence[int] | None = None) -> None:
        first = self.states[0]
        if first is not None:
            self.keep_rows(torch.tensor(rows, device=first.device))

    def truncate(self, lengths: int | Tensor) -> None:
        raise NotImplementedError("this cache cannot be rolled back, which speculative decoding needs")


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_feedforward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wider, self.narrower = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, seen: Tensor, cache: KeysAndValues | None, layer: int) -> Tensor:
        queries, keys, values = self.attention(self.before_attention(x)).chunk(3, dim=-1)
        if cache is not None:
            keys, values = cache.append(layer, keys, values)
        attended = F.scaled_dot_product_attention(
            self._split(queries), self._split(keys), self._split(values), attn_mask=seen
        )
        x = x + self.mix(attended.transpose(1, 2).flatten(2))
        inner: Tensor = self.narrower(F.gelu(self.wider(self.before_feedforward(x))))
        return x + inner

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, heads, T, C / heads)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class PlainGPT(OwnDecoder):
    def __init__(self, config: PlainGPTConfig) -> None:
        super().__init__(config)
        self.layers = config.layers
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(config.max_positions, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> KeysAndValues | None:
        """The cache grows with the text, whichever kind is asked for."""
        return None if kind == "none" else KeysAndValues(self.layers)

    def forward(
        self, tokens: Tensor, *, cache: KeysAndValues | None = None, valid: Tensor | None = None
    ) -> Tensor:
        past = 0 if cache is None else cache.length
        padding = None if cache is None else cache.padding
        if valid is not None:  # padding stands on the left
            padding = (~valid).sum(dim=1)
            if cache is not None:
                cache.padding = padding
        columns = torch.arange(past + tokens.shape[1], device=tokens.device)
        seen = columns <= columns[past:, None]  # (T', T)
        positions = columns[past:]
        if padding is not None:
            # Padding sees itself, because a row of attention without any key is not a number.
            real = (columns >= padding[:, None])[:, None] | (columns == columns[past:, None])
            seen = (seen & real)[:, None]  # (B, 1, T', T)
            positions = (positions - padding[:, None]).clamp(min=0)
        x = self.tokens(tokens) + self.positions(positions)
        for layer, block in enumerate(self.blocks):
            x = block(x, seen, cache, layer)
        return F.linear(self.norm(x), self.tokens.weight)

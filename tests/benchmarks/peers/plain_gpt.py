"""A GPT as people write it for themselves: fused projections, torch's attention, nothing else.

The nanoGPT-like peer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks.peers.cases import Size


class PlainBlock(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.n_heads = size.n_heads
        self.norm_1, self.norm_2 = nn.LayerNorm(size.d_model), nn.LayerNorm(size.d_model)
        self.qkv = nn.Linear(size.d_model, 3 * size.d_model)
        self.out = nn.Linear(size.d_model, size.d_model)
        self.up, self.down = nn.Linear(size.d_model, size.d_ff), nn.Linear(size.d_ff, size.d_model)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        heads = (batch, tokens, self.n_heads, width // self.n_heads)
        q, k, v = (part.view(heads).transpose(1, 2) for part in self.qkv(self.norm_1(x)).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, tokens, width))
        fed: Tensor = self.down(F.gelu(self.up(self.norm_2(x))))
        return x + fed


class PlainGPT(nn.Module):
    """Learned positions, pre-norm, tied output."""

    def __init__(self, size: Size, *, positions: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocab_size, size.d_model)
        self.positions = nn.Embedding(positions, size.d_model)
        self.blocks = nn.ModuleList(PlainBlock(size) for _ in range(size.n_layers))
        self.norm = nn.LayerNorm(size.d_model)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


class TorchEncoderGPT(nn.Module):
    """The same out of `nn.TransformerEncoder`: the ready-made layers of torch, masked causally."""

    mask: Tensor

    def __init__(self, size: Size, *, positions: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocab_size, size.d_model)
        self.positions = nn.Embedding(positions, size.d_model)
        layer = nn.TransformerEncoderLayer(
            size.d_model,
            size.n_heads,
            size.d_ff,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(
            layer, size.n_layers, norm=nn.LayerNorm(size.d_model), enable_nested_tensor=False
        )
        mask = nn.Transformer.generate_square_subsequent_mask(positions)
        self.register_buffer("mask", mask, persistent=False)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        length = tokens.shape[1]
        x = self.tokens(tokens) + self.positions.weight[:length]
        hidden = self.encoder(x, mask=self.mask[:length, :length], is_causal=True)
        return F.linear(hidden, self.tokens.weight)


class TorchTranslator(nn.Module):
    """`nn.Transformer` with one table of vectors for source, target and output, post-norm as in the paper."""

    mask: Tensor

    def __init__(self, size: Size, *, positions: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocab_size, size.d_model)
        self.positions = nn.Embedding(positions, size.d_model)
        self.transformer = nn.Transformer(
            size.d_model,
            size.n_heads,
            size.n_layers,
            size.n_layers,
            size.d_ff,
            dropout=0.0,
            batch_first=True,
        )
        mask = nn.Transformer.generate_square_subsequent_mask(positions)
        self.register_buffer("mask", mask, persistent=False)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, S), (B, T) -> (B, T, V)."""
        length = target.shape[1]
        hidden = self.transformer(
            self._embedded(source),
            self._embedded(target),
            tgt_mask=self.mask[:length, :length],
            tgt_is_causal=True,
        )
        return F.linear(hidden, self.tokens.weight)

    def _embedded(self, tokens: Tensor) -> Tensor:
        vectors: Tensor = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        return vectors


def random_tokens(*shape: int, vocab_size: int, seed: int) -> Tensor:
    """From 3 upwards: the first ones are special to some peers."""
    return torch.randint(3, vocab_size, shape, generator=torch.Generator().manual_seed(seed))

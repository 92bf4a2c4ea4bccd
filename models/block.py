"""One layer: attention and feed-forward, each with a residual and a norm; between them attention to a source, if any."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.attention import AttentionContext, build_attention
from models.config import Architecture, AttentionCheckpointing, BlockCheckpointing
from models.cross_attention import CrossAttention
from models.feedforward import build_feedforward
from models.norm import build_norm

# Nothing is kept of these inside but their inputs; the generator's state is, so that dropout repeats itself.
recomputed = partial(checkpoint, use_reentrant=False)


class Block(nn.Module):
    """Its parameters are named by what they belong to: `attention`, `attention_norm`, `feedforward`, …"""

    def __init__(self, config: Architecture, *, layer: int, attends_to_source: bool = False) -> None:
        super().__init__()
        self.placement, self.parallel = config.norm_placement, config.feedforward_placement == "parallel"
        how = config.checkpointing
        self.recomputes_itself = isinstance(how, BlockCheckpointing) and layer % how.every == 0
        self.recomputes_attention = isinstance(how, AttentionCheckpointing)
        self.dropout = nn.Dropout(config.dropout)
        self.attention = build_attention(config, layer=layer)
        self.cross_attention = CrossAttention(config, layer=layer) if attends_to_source else None
        self.feedforward = build_feedforward(config)
        for part in ("attention", "cross_attention", "feedforward"):
            if getattr(self, part) is not None:
                self.add_module(f"{part}_norm", build_norm(config.norm, config.d_model))
                if self.placement == "both":
                    self.add_module(f"{part}_output_norm", build_norm(config.norm, config.d_model))

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model)."""
        if self.recomputes_itself and torch.is_grad_enabled():
            again: Tensor = recomputed(self._run, x, context)
            return again
        return self._run(x, context)

    def _run(self, x: Tensor, context: AttentionContext) -> Tensor:
        attend = partial(self._attend, context=context)
        if self.parallel:
            branches = self._branch("attention", attend, x) + self._branch("feedforward", self.feedforward, x)
            if self.cross_attention is None:
                return x + branches
            return (
                x
                + branches
                + self._branch("cross_attention", partial(self.cross_attention, context=context), x)
            )
        x = self._residual("attention", attend, x)
        if self.cross_attention is not None:
            x = self._residual("cross_attention", partial(self.cross_attention, context=context), x)
        return self._residual("feedforward", self.feedforward, x)

    def _attend(self, x: Tensor, context: AttentionContext) -> Tensor:
        if self.recomputes_attention and torch.is_grad_enabled():
            again: Tensor = recomputed(self.attention, x, context)
            return again
        attended: Tensor = self.attention(x, context)
        return attended

    def _residual(self, part: str, layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self.placement == "post":  # Vaswani et al. 2017, §3.1
            normed: Tensor = getattr(self, f"{part}_norm")(x + self.dropout(layer(x)))
            return normed
        return x + self._branch(part, layer, x)

    def _branch(self, part: str, layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """What a layer adds to the residual stream."""
        norm: nn.Module = getattr(self, f"{part}_norm")
        match self.placement:
            case "pre":  # Xiong et al. 2020, §3
                added = layer(norm(x))
            case "both":  # Gemma 2
                added = getattr(self, f"{part}_output_norm")(layer(norm(x)))
            case _:  # "output": OLMo 2
                added = norm(layer(x))
        dropped: Tensor = self.dropout(added)
        return dropped

"""One layer: attention and feed-forward, each with a residual and a norm; between them attention to a source,
if any.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.models.attention import AttentionContext, build_attention
from harness.models.config import Architecture, AttentionCheckpointing, BlockCheckpointing
from harness.models.cross_attention import CrossAttention
from harness.models.dropout import Dropout
from harness.models.feedforward import build_feedforward
from harness.models.norm import build_norm

# Nothing is kept of these inside but their inputs; the generator's state is, so that dropout repeats itself.
recomputed = partial(checkpoint, use_reentrant=False)


Layer = Callable[..., Tensor]


class Block(nn.Module):
    """Its parameters are named by what they belong to: `attention`, `attention_norm`, `feedforward`, …"""

    def __init__(self, config: Architecture, *, layer: int, attends_to_source: bool = False) -> None:
        super().__init__()
        self.placement, self.parallel = config.norm_placement, config.feedforward_placement == "parallel"
        how = config.checkpointing
        self.recomputes_itself = isinstance(how, BlockCheckpointing) and layer % how.every == 0
        self.recomputes_attention = isinstance(how, AttentionCheckpointing)
        self.dropout = Dropout(config.dropout)
        self.attention = build_attention(config, layer=layer)
        self.attention_norm, self.attention_output_norm = self._norms(config)
        self.cross_attention: CrossAttention | None = None
        if attends_to_source:
            self.cross_attention = CrossAttention(config, layer=layer)
            self.cross_attention_norm, self.cross_attention_output_norm = self._norms(config)
        self.feedforward = build_feedforward(config)
        self.feedforward_norm, self.feedforward_output_norm = self._norms(config)

    def _norms(self, config: Architecture) -> tuple[nn.Module, nn.Module | None]:
        after = build_norm(config.norm, config.d_model) if self.placement == "both" else None
        return build_norm(config.norm, config.d_model), after

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model)."""
        if self.recomputes_itself and torch.is_grad_enabled():
            again: Tensor = recomputed(self._run, x, context)
            return again
        return self._run(x, context)

    def _run(self, x: Tensor, context: AttentionContext) -> Tensor:
        shared = x if self.parallel else None  # in parallel every layer reads the block's input
        attend: Layer = self.attention
        attend_to_source: Layer | None = self.cross_attention
        if self.recomputes_attention and torch.is_grad_enabled():  # only what goes into it is kept
            attend = partial(recomputed, attend)
            attend_to_source = None if attend_to_source is None else partial(recomputed, attend_to_source)
        x = self._add(x, shared, attend, self.attention_norm, self.attention_output_norm, context)
        if attend_to_source is not None:
            norms = self.cross_attention_norm, self.cross_attention_output_norm
            x = self._add(x, shared, attend_to_source, *norms, context)
        return self._add(x, shared, self.feedforward, self.feedforward_norm, self.feedforward_output_norm)

    def _add(
        self,
        x: Tensor,
        read: Tensor | None,
        layer: Layer,
        norm: Layer,
        output_norm: Layer | None,
        *context: AttentionContext,
    ) -> Tensor:
        """The residual stream x with what a layer makes of `read`, or of x itself."""
        read = x if read is None else read
        match self.placement:
            case "pre":  # Xiong et al. 2020, §3
                made = layer(norm(read), *context)
            case "post":  # Vaswani et al. 2017, §3.1
                made = layer(read, *context)
            case "output":  # OLMo 2
                made = norm(layer(read, *context))
            case _:  # "both": Gemma 2
                assert output_norm is not None
                made = output_norm(layer(norm(read), *context))
        x = x + self._dropped(made)
        return norm(x) if self.placement == "post" else x

    def _dropped(self, x: Tensor) -> Tensor:
        # A step of decoding is many small calls: one that does nothing is not made.
        return self.dropout(x) if self.training else x

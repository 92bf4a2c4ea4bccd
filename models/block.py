"""One block: attention and feed-forward, each with a residual connection and a norm, and between them
attention to a source in the decoder of an encoder-decoder.

B batch, T tokens, C = d_model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.models.attention import (
    AttentionContext,
    CrossAttention,
    build_attention,
    build_cross_attention,
)
from harness.models.config import Architecture, AttentionCheckpointing, BlockCheckpointing
from harness.models.dropout import Dropout
from harness.models.feedforward import build_feedforward
from harness.models.layer import LayerOutput, Losses, ResidualLayer, add_losses
from harness.models.norm import build_norm

# Stores only the inputs of a function, and the state of the generator, so that dropout repeats itself.
recomputed = partial(checkpoint, use_reentrant=False)


Layer = Callable[..., LayerOutput]


class Block(nn.Module):
    """Its parameters are named by the layer that they belong to: `attention`, `attention_norm`,
    `feedforward`, …
    """

    def __init__(self, config: Architecture, *, layer: int, attends_to_source: bool = False) -> None:
        super().__init__()
        self.placement, self.parallel = config.norm_placement, config.feedforward_placement == "parallel"
        checkpointing = config.checkpointing
        self.recomputes_itself = (
            isinstance(checkpointing, BlockCheckpointing) and layer % checkpointing.every == 0
        )
        self.recomputes_attention = isinstance(checkpointing, AttentionCheckpointing)
        self.dropout = Dropout(config.dropout)
        self.attention = build_attention(config, layer=layer)
        self.attention_norm, self.attention_output_norm = self._norms(config)
        self.cross_attention: CrossAttention | None = None
        if attends_to_source:
            self.cross_attention = build_cross_attention(config, layer=layer)
            self.cross_attention_norm, self.cross_attention_output_norm = self._norms(config)
        self.feedforward = build_feedforward(config)
        self.feedforward_norm, self.feedforward_output_norm = self._norms(config)

    @property
    def layers(self) -> list[ResidualLayer]:
        """The layers whose outputs are added to the residual stream."""
        layers = (self.attention, self.cross_attention, self.feedforward)
        return [layer for layer in layers if layer is not None]

    def _norms(self, config: Architecture) -> tuple[nn.Module, nn.Module | None]:
        output_norm = build_norm(config.norm, config.d_model) if self.placement == "both" else None
        return build_norm(config.norm, config.d_model), output_norm

    def forward(self, x: Tensor, context: AttentionContext) -> LayerOutput:
        """(B, T, C) -> (B, T, C), with the auxiliary losses of its layers if there are any."""
        if self.recomputes_itself and torch.is_grad_enabled():
            output: LayerOutput = recomputed(self._run, x, context)
            return output
        return self._run(x, context)

    def _run(self, x: Tensor, context: AttentionContext) -> LayerOutput:
        losses: Losses = {}
        shared = x if self.parallel else None  # parallel layers all read the block's input
        attend: Layer = self.attention
        attend_to_source: Layer | None = self.cross_attention
        if self.recomputes_attention and torch.is_grad_enabled():
            attend = partial(recomputed, attend)
            attend_to_source = None if attend_to_source is None else partial(recomputed, attend_to_source)
        norms = self.attention_norm, self.attention_output_norm
        x = self._add(x, shared, attend, *norms, losses, context)
        if attend_to_source is not None:
            norms = self.cross_attention_norm, self.cross_attention_output_norm
            x = self._add(x, shared, attend_to_source, *norms, losses, context)
        norms = self.feedforward_norm, self.feedforward_output_norm
        x = self._add(x, shared, self.feedforward, *norms, losses)
        return (x, losses) if losses else x

    def _add(
        self,
        x: Tensor,
        shared: Tensor | None,
        layer: Layer,
        norm: Callable[..., Tensor],
        output_norm: Callable[..., Tensor] | None,
        losses: Losses,
        *context: AttentionContext,
    ) -> Tensor:
        """The residual stream x plus the output of a layer that reads `shared`, or x itself without one.

        The layer's auxiliary losses are added to `losses`.
        """
        placement = self.placement
        read = x if shared is None else shared
        output = layer(norm(read) if placement in ("pre", "both") else read, *context)
        if isinstance(output, tuple):
            output, auxiliary = output
            add_losses(losses, auxiliary)
        if placement == "output":  # OLMo 2
            output = norm(output)
        elif output_norm is not None:  # "both": Gemma 2
            output = output_norm(output)
        x = x + self._dropped(output)
        return norm(x) if placement == "post" else x  # "post": Vaswani et al. 2017, §3.1

    def _dropped(self, x: Tensor) -> Tensor:
        # A decoding step is many small calls, so a call that does nothing is left out.
        return self.dropout(x) if self.training else x

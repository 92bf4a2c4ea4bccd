"""Normalisation of the last dimension.

One with parameters is a torch norm or a `harness.models.self_initialised.AtRest`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.config.norm import LayerNorm, NonParametricNorm, Norm, RMSNorm


class OffsetRMSNorm(nn.RMSNorm):
    """RMSNorm whose gain is 1 + weight, so that weight decay pulls the gain to 1 (Gemma)."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight is not None
        return F.rms_norm(x, self.normalized_shape, 1 + self.weight, self.eps)

    def reset_parameters(self) -> None:
        assert self.weight is not None
        nn.init.zeros_(self.weight)


def build_norm(norm: Norm, width: int) -> nn.Module:
    """(..., width) -> (..., width)."""
    match norm:
        case LayerNorm():
            return nn.LayerNorm(width, eps=norm.eps)
        case NonParametricNorm():
            return nn.LayerNorm(width, eps=norm.eps, elementwise_affine=False)
        case RMSNorm(gain="weight"):
            return nn.RMSNorm(width, eps=norm.eps)
        case RMSNorm():
            return OffsetRMSNorm(width, eps=norm.eps)

"""Normalisation of the last dimension."""

from __future__ import annotations

from torch import nn

from models.config import LayerNorm, ModelConfig


def build_norm(config: ModelConfig) -> nn.LayerNorm | nn.RMSNorm:
    """(..., d_model) -> (..., d_model)."""
    if isinstance(config.norm, LayerNorm):
        return nn.LayerNorm(config.d_model, eps=config.norm.eps)
    return nn.RMSNorm(config.d_model, eps=config.norm.eps)

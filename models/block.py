"""One layer: attention and feed-forward, each with a residual and a norm.

Pre-norm: x + f(norm(x)) (Xiong et al. 2020, §3). Post-norm: norm(x + f(x)) (Vaswani et al. 2017, §3.1).
"""

from __future__ import annotations

from torch import Tensor, nn

from models.attention import Attention, AttentionContext
from models.config import ModelConfig
from models.feedforward import FeedForward
from models.norm import build_norm


class Block(nn.Module):
    def __init__(self, config: ModelConfig, *, layer: int) -> None:
        super().__init__()
        self.pre_norm = config.norm_placement == "pre"
        self.attention = Attention(config, layer=layer)
        self.attention_norm = build_norm(config)
        self.feedforward = FeedForward(config)
        self.feedforward_norm = build_norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model)."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), context))
            x = x + self.dropout(self.feedforward(self.feedforward_norm(x)))
        else:
            x = self.attention_norm(x + self.dropout(self.attention(x, context)))
            x = self.feedforward_norm(x + self.dropout(self.feedforward(x)))
        return x

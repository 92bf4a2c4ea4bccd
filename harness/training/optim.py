"""Optimizers: a config with its `.build` beside it; torch is imported inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.config import FROM_LIST, Config

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class AdamW(Config):
    """AdamW (Loshchilov & Hutter 2019, algorithm 2). Weight decay falls on matrices alone: never on norms, biases, embeddings."""

    kind: Literal["adamw"] = "adamw"
    lr: float = Field(gt=0.0, allow_inf_nan=False)
    betas: Annotated[tuple[float, float], FROM_LIST] = (0.9, 0.95)
    eps: float = Field(default=1e-8, gt=0.0)
    weight_decay: float = Field(default=0.1, ge=0.0)

    def build(self, model: nn.Module) -> Optimizer:
        """One optimizer over all parameters of `model`, tied ones once."""
        import torch
        from torch import nn

        embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        decayed: list[nn.Parameter] = []
        plain: list[nn.Parameter] = []
        for parameter in model.parameters():
            group = decayed if parameter.ndim >= 2 and id(parameter) not in embeddings else plain
            group.append(parameter)
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)

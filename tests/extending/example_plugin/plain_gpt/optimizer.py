"""An optimizer: sign descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.training.optim import OptimizerSettings, parameter_groups

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class SignDescent(OptimizerSettings):
    """p ← p − lr · sign(g), after p ← p − lr · decay · p for matrices."""

    kind: Literal["sign"] = "sign"

    def build(self, model: nn.Module) -> Optimizer:
        from plain_gpt.sign import Sign

        optimizer: Optimizer = Sign(parameter_groups(model, self.weight_decay), {"lr": self.lr})
        return optimizer

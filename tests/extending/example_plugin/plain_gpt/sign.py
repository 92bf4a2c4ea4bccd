"""The step of sign descent."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer


class Sign(Optimizer):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(group["lr"] * parameter.grad.sign())

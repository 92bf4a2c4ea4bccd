"""Optimizers that no library has: Lion with a trust ratio, and several optimizers that step together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class LionTrustRatioOptimizer(Optimizer):
    """u = sign(β₁ m + (1 − β₁) g) + λ p; p ← p − lr · max(rms(p), least_rms) / rms(u) · u;
    m ← β₂ m + (1 − β₂) g.

    So the learning rate is the relative change of each tensor in a step. Arithmetic is in the precision of
    the tensors.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        least_rms: float,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "least_rms": least_rms, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Raises ValueError if there is a closure, because none is used."""
        if closure is not None:
            raise ValueError("LionTrustRatioOptimizer takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"]
        early, late = group["betas"]
        update = momentum.lerp(gradient, 1 - early).sign_()
        if group["weight_decay"]:
            update.add_(parameter, alpha=group["weight_decay"])
        root = math.sqrt(parameter.numel())
        trust = (parameter.norm() / root).clamp(min=group["least_rms"])
        size = update.norm() / root
        # Without a gradient nothing moves, and nothing is divided by zero.
        ratio = torch.where(size > 0, trust / size, torch.zeros_like(size))
        parameter.sub_(update.mul_(ratio * group["lr"]))
        momentum.lerp_(gradient, 1 - late)


class CombinedOptimizer(Optimizer):
    """One optimizer over the parameter groups of all `parts`."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = tuple(parts)
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._adopt()

    def _adopt(self) -> None:
        """Share the groups of the parts, so that a learning rate set here also holds there."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Raises ValueError if there is a closure, because every part would call it."""
        if closure is not None:
            raise ValueError("CombinedOptimizer takes no closure")
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._adopt()

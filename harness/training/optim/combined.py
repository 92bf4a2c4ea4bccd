"""Several optimizers for different parameters that step together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.optim import Optimizer


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

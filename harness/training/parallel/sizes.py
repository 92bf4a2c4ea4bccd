"""The bytes of parameters, gradients and optimizer state that a rank holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from harness.training.optim.implementations import CombinedOptimizer
from harness.training.update import Updater


class RankBytes:
    """The bytes on this rank. `gradients` is known after an update in the block of `watched`."""

    def __init__(self, updater: Updater) -> None:
        self._updater = updater
        self.gradients = 0

    @property
    def device(self) -> torch.device:
        return self._updater.objective.device

    @property
    def parameters(self) -> int:
        return _size(self._updater.parameters)

    @property
    def optimizer(self) -> int:
        optimizer = self._updater.optimizer
        parts = optimizer.parts if isinstance(optimizer, CombinedOptimizer) else (optimizer,)
        values = (leaf for part in parts for leaf in tree_leaves(list(part.state.values())))
        return _size(value for value in values if isinstance(value, Tensor))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The gradients are measured when the optimizer makes its step."""
        handle = self._updater.optimizer.register_step_pre_hook(self._measure)
        try:
            yield
        finally:
            handle.remove()

    def _measure(self, *_: Any) -> None:
        self.gradients = _size(part.grad for part in self._updater.parameters if part.grad is not None)


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

"""Modules that say how their own parameters start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class AtRest(nn.Module, ABC):
    """A module whose parameters start where they change nothing: gains at 1, biases at 0."""

    @abstractmethod
    def reset_parameters(self) -> None: ...


class StackedLinear(nn.Linear):
    """Several linear layers with one product: their weights are the rows of one matrix, in the order given.

    `outputs` has the width of each by the name that it would have alone, under which its weight is drawn.
    """

    def __init__(self, width: int, outputs: Mapping[str, int], *, bias: bool) -> None:
        super().__init__(width, sum(outputs.values()), bias=bias)
        self.outputs = dict(outputs)

    def matrices(self) -> Iterator[tuple[str, Tensor]]:
        """The weight of each layer (its outputs, width), by its name."""
        rows = torch.split(self.weight, list(self.outputs.values()))
        return zip(self.outputs, rows, strict=True)

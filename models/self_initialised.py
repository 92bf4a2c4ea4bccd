"""Modules whose parameters start where they do nothing: gains at 1, biases at 0. Nothing of them is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn


class AtRest(nn.Module, ABC):
    """`harness.models.init` leaves it to such a module to set its own parameters."""

    @abstractmethod
    def reset_parameters(self) -> None: ...

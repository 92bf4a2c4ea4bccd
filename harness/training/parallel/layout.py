"""What differs between one rank and several ones that train a model together.

Every rank reads all micro-batches of an update. Its layout says which part of the work is its own, and how
the gradients of all ranks become those of the update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from torch import Tensor, amp, nn
from torch.optim import Optimizer

from harness.training.objective import MicroBatch, Objective
from harness.training.precision import Precision

Shares = tuple[Sequence[MicroBatch], Sequence[int]]
"""Micro-batches, and the number of counted targets in each of them."""


class Passes(Protocol):
    """What a layout needs of an updater: the passes over micro-batches, and the parameters that they give
    gradients (see `harness.training.update.Updater`).
    """

    objective: Objective
    precision: Precision
    scaler: amp.GradScaler | None
    parameters: list[nn.Parameter]

    def passes(
        self, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]: ...


class Layout:
    """One rank, which does all the work. The layouts of several ranks are subclasses.

    `rank` counts from 0. All ranks call the same methods in the same order, because most of them communicate.
    """

    complete: ClassVar[bool] = True
    """Whether every rank has all parameters and their gradients."""

    def __init__(self, *, rank: int = 0, ranks: int = 1) -> None:
        self.rank, self.ranks = rank, ranks

    def prepare(self, model: nn.Module) -> nn.Module:
        """The part of `model` that this rank trains. The model may be changed."""
        return model

    def trained(self, model: nn.Module, optimizer: Optimizer) -> list[nn.Parameter]:
        """The parameters that `optimizer` changes on this rank. It has no state yet."""
        del optimizer
        return [parameter for parameter in model.parameters() if parameter.requires_grad]

    def seed(self, seed: int) -> int:
        """The seed of this rank's random numbers: ranks with different rows need different dropout."""
        return seed

    def share(self, micro_batches: Sequence[MicroBatch], tokens: Sequence[int]) -> Shares:
        """This rank's part of the micro-batches of an update."""
        return micro_batches, tokens

    def accumulate(
        self, updater: Passes, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        """Add the gradient of the mean over the `total` counted targets of all ranks, given this rank's
        micro-batches; returns the means of all ranks by name.
        """
        return updater.passes(micro_batches, tokens, total)

    def norm(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """The norm of the gradient of all ranks."""
        return nn.utils.get_total_norm(p.grad for p in parameters if p.grad is not None)

    def agree(self, infinite: Tensor) -> None:
        """Replace the mark of a rank (1 if its gradients are not all finite, else 0) by the largest of all
        ranks, so that all of them skip an update.
        """

    def idle_share(self, update: Callable[[], object]) -> float:
        """The share of an update's passes in which a rank waits for others. Ranks that all do the same work
        do not wait, and make no update for it.
        """
        del update
        return 0.0

    def gathered(self, model: nn.Module) -> nn.Module:
        """A model with the complete parameters of all ranks: `model` itself if it has them."""
        return model

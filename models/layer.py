"""What every layer of a block offers: attention, cross-attention and feed-forward.

B batch, T tokens, C = d_model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn

# Auxiliary losses by name, scalars. A config says by which weight each is added to the objective.
Losses = dict[str, Tensor]
LayerOutput = Tensor | tuple[Tensor, Losses]


class ResidualLayer(nn.Module, ABC):
    """A layer whose output is added to the residual stream.

    `forward` returns the output (B, T, C), or a pair of the output and auxiliary losses. Losses are returned
    and not stored, so that recomputing a layer in the backward pass is harmless.
    """

    # The linear layer that `activation` directly follows, so that both can be one operation.
    activated: ClassVar[str | None] = None
    # Whether other modules use nothing but the layer's output.
    only_called: ClassVar[bool] = True

    @abstractmethod
    def residual_outputs(self) -> Iterable[Tensor]:
        """The weights of the projections into the residual stream, which start smaller in deeper stacks."""


def add_losses(total: Losses, losses: Losses) -> None:
    """Add the losses to the sums of those with the same names."""
    for name, loss in losses.items():
        total[name] = total[name] + loss if name in total else loss

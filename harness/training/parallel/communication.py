"""The bytes that all ranks together send in an update, and how long they wait for each other, in closed form.

Importing it needs no torch. n ranks, and in an update k micro-batches of B rows and T tokens; C = d_model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.models.config import ModelConfig
from harness.models.cost import parameter_count
from harness.training.parallel.config import Parallel

MEAN_BYTES, MARK_BYTES, NORM_BYTES = 4, 4, 8
"""The bytes of a mean in float32, of a mark of infinite gradients, and of the square of a norm."""


@dataclass(frozen=True, kw_only=True)
class Communication:
    """What decides on the bytes of an update. `micro_batches` have `rows` rows of `length` tokens each.
    `forward_bytes` and `weight_bytes` are those of a value of an activation and of a weight. `scaled` says
    whether there is a gradient scaler. All parameters are trained, and ranks can divide them equally.
    """

    model: Any
    micro_batches: int
    rows: int
    length: int
    weight_bytes: int
    forward_bytes: int
    scaled: bool

    def bytes(self, parallel: Parallel) -> int:
        """The bytes that all ranks together send in an update whose norm is computed once."""
        ranks = parallel.ranks
        if ranks == 1:
            return 0
        around = 2 * (ranks - 1)  # a sum over all ranks sends every value so many times
        mean_bytes = max(MEAN_BYTES, self.weight_bytes)
        means = around * 2 * mean_bytes  # the loss and log Z
        agreed = around * (NORM_BYTES + (MARK_BYTES if self.scaled else 0))
        match parallel.layout:
            case "data":
                return around * parameter_count(self.model) * self.weight_bytes + means
            case "shard":
                return self._sharded(ranks) + means + agreed
            case "tensor":
                return self._summed_outputs(around) + agreed
            case "pipeline":
                return self._passed_on(ranks) + means + agreed

    def _sharded(self, ranks: int) -> int:
        """Per micro-batch, each block is gathered for the forward and for the backward pass, all other
        parameters once, and all gradients are summed into parts.
        """
        values = parameter_count(self.model)
        blocks = self._block_parameters()
        return (ranks - 1) * self.micro_batches * self.weight_bytes * (2 * values + blocks)

    def _block_parameters(self) -> int:
        """The parameters in all blocks."""
        layers = [name for name in type(self.model).model_fields if name.endswith("layers")]
        total = 0
        for name in layers:
            count = getattr(self.model, name)
            deeper = self.model.model_copy(update={name: count + 1})
            total += count * (parameter_count(deeper) - parameter_count(self.model))
        return total

    def _summed_outputs(self, around: int) -> int:
        """The outputs of both layers of a block are summed in the forward pass, and the gradients of their
        inputs in the backward pass.
        """
        assert isinstance(self.model, ModelConfig)
        return around * 2 * self.model.n_layers * self._activations * (self.forward_bytes + self.weight_bytes)

    def _passed_on(self, ranks: int) -> int:
        """The states go from rank to rank, and their gradients back. The two ranks at the ends exchange their
        gradients of an embedding that is the output projection too.
        """
        assert isinstance(self.model, ModelConfig)
        tied = 2 * self.model.vocab_size * self.model.d_model if self.model.tie_embeddings else 0
        return self.weight_bytes * (2 * (ranks - 1) * self._activations + tied)

    @property
    def _activations(self) -> int:
        """The values of the states (B, T, C) of all micro-batches."""
        values: int = self.micro_batches * self.rows * self.length * self.model.d_model
        return values


def bubble_share(parallel: Parallel) -> float:
    """(p − 1) / (m + p − 1) for a pipeline of p ranks and m parts of a micro-batch that take equally long on
    all ranks (Huang et al. 2019, §2.3).
    """
    waits = parallel.pipeline - 1
    return waits / (parallel.micro_batches + waits)

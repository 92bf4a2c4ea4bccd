"""What layouts share in which no rank has all parameters."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from harness.training.objective import MicroBatch
from harness.training.parallel.layout import Layout, Passes


class SplitRanks(Layout):
    """Parameters, gradients and the optimizer's state are divided among the ranks of torch's process group.

    The optimizer, clipping and the gradient scaler work on this rank's parts, which are ordinary tensors. So
    the optimizer must treat every value of a parameter by itself.
    """

    complete: ClassVar[bool] = False

    def __init__(self, *, rank: int, ranks: int) -> None:
        super().__init__(rank=rank, ranks=ranks)
        self._plain: nn.Module | None = None
        self._parts: dict[nn.Parameter, nn.Parameter] = {}

    def prepare(self, model: nn.Module) -> nn.Module:
        self._plain = copy.deepcopy(model)
        self.split(model)
        return model

    @abstractmethod
    def split(self, model: nn.Module) -> None:
        """Keep this rank's part of the model only."""

    def trained(self, model: nn.Module, optimizer: Optimizer) -> list[nn.Parameter]:
        if not self._parts:
            for parameter in super().trained(model, optimizer):
                self._parts[parameter] = _part(parameter)
            for group in optimizer.param_groups:
                group["params"] = [self._parts[parameter] for parameter in group["params"]]
        return list(self._parts.values())

    def accumulate(
        self, updater: Passes, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        means = self.passes(updater, micro_batches, tokens, total)
        for parameter, part in self._parts.items():
            if part is not parameter and parameter.grad is not None:
                part.grad, parameter.grad = _local(parameter.grad), None
        return means

    def passes(
        self, updater: Passes, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        """What `accumulate` does, with gradients that are still divided as the parameters are."""
        return updater.passes(micro_batches, tokens, total)

    def norm(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Values that several ranks have are counted on one of them."""
        counted = [part for parameter, part in self._parts.items() if self.counts(parameter)]
        norm = nn.utils.get_total_norm(part.grad for part in counted if part.grad is not None)
        mine = norm.to(parameters[0].device, torch.float64) ** 2
        distributed.all_reduce(mine)
        return mine.sqrt().to(parameters[0].dtype)

    def counts(self, parameter: nn.Parameter) -> bool:
        """Whether the norm of all ranks includes this rank's part of a parameter."""
        return self.rank == 0 or _is_sharded(parameter)

    def agree(self, infinite: Tensor) -> None:
        distributed.all_reduce(infinite, op=distributed.ReduceOp.MAX)

    @torch.no_grad()
    def gathered(self, model: nn.Module) -> nn.Module:
        """A copy of the model as it was before it was divided, with the present parameters."""
        assert self._plain is not None
        mine = dict(model.named_parameters())
        for name, parameter in self._plain.named_parameters():
            self.fetch(name, mine.get(name), parameter)
        return self._plain

    def fetch(self, name: str, mine: Tensor | None, complete: Tensor) -> None:
        """Fill `complete` with the parameter of that name, of which this rank has a part, or nothing."""
        del name
        assert mine is not None
        complete.copy_(mine.full_tensor() if isinstance(mine, DTensor) else mine)


def _part(parameter: nn.Parameter) -> nn.Parameter:
    """This rank's part, which shares its memory with the parameter."""
    if not isinstance(parameter, DTensor):
        return parameter
    return nn.Parameter(_local(parameter))


def _local(tensor: Tensor) -> Tensor:
    with torch.no_grad():
        local: Tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return local


def _is_sharded(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, DTensor) and any(part.is_shard() for part in parameter.placements)

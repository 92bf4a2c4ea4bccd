"""Tensor parallelism (Shoeybi et al. 2019, §3), by torch's `parallelize_module`.

Every rank has some heads of attention and some columns of the feed-forward layer, and computes with all rows.
Their outputs are summed over all ranks. Everything else is the same on all ranks.
"""

from __future__ import annotations

from typing import cast

from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    parallelize_module,
)

from harness.models.attention import MultiHead
from harness.models.transformer import Transformer
from harness.training.parallel.split import SplitRanks


class TensorRanks(SplitRanks):
    """The input of a layer enters its products as one tensor, so that its gradient is summed only once."""

    def split(self, model: nn.Module) -> None:
        mesh = init_device_mesh(next(model.parameters()).device.type, (self.ranks,))
        for block in cast("Transformer", model).typed_blocks:
            parallelize_module(block, mesh, _styles(block))
            attention = block.attention
            assert isinstance(attention, MultiHead)
            attention.n_heads //= self.ranks
            attention.n_kv_heads //= self.ranks


def _styles(block: nn.Module) -> dict[str, ParallelStyle]:
    same = Replicate()
    styles: dict[str, ParallelStyle] = {
        "attention": PrepareModuleInput(input_layouts=(same, None), desired_input_layouts=(same, None)),
        "feedforward": PrepareModuleInput(input_layouts=(same,), desired_input_layouts=(same,)),
    }
    for name in ("attention.q", "attention.k", "attention.v", "feedforward.up", "feedforward.gate"):
        layer, _, part = name.partition(".")
        if hasattr(getattr(block, layer), part):
            styles[name] = ColwiseParallel()
    return {**styles, "attention.out": RowwiseParallel(), "feedforward.down": RowwiseParallel()}

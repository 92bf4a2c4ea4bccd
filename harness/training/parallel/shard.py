"""Fully sharded data parallelism (Rajbhandari et al. 2020, §5.3; Zhao et al. 2023), by torch's `fully_shard`.

Every rank has a part of each parameter. The parts of a block are gathered before its passes and freed
afterwards, and its gradients are summed into parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from harness.models.encoder_decoder import EncoderDecoder
from harness.models.transformer import Transformer
from harness.training.objective import MicroBatch
from harness.training.parallel.data import DataRanks, sum_over_ranks
from harness.training.parallel.layout import Passes, Shares
from harness.training.parallel.split import SplitRanks


class ShardedRanks(SplitRanks):
    """Rows are divided as in data parallelism."""

    def __init__(self, *, rank: int, ranks: int) -> None:
        super().__init__(rank=rank, ranks=ranks)
        self._rows = DataRanks(rank=rank, ranks=ranks)

    def split(self, model: nn.Module) -> None:
        typed = cast("Transformer | EncoderDecoder", model)
        mesh = init_device_mesh(next(model.parameters()).device.type, (self.ranks,))
        blocks = [block for stack in typed.stacks for block in stack.typed_blocks]
        for module in (*blocks, model):
            sharded = fully_shard(module, mesh=mesh)
            assert isinstance(sharded, FSDPModule)
            # The passes divide by the tokens of all ranks already, so gradients are summed and not averaged.
            sharded.set_gradient_divide_factor(1.0)
            sharded.set_force_sum_reduction_for_comms(enable=True)
        register_fsdp_forward_method(model, "hidden")

    def seed(self, seed: int) -> int:
        return self._rows.seed(seed)

    def share(self, micro_batches: Sequence[MicroBatch], tokens: Sequence[int]) -> Shares:
        return self._rows.share(micro_batches, tokens)

    def passes(
        self, updater: Passes, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        return sum_over_ranks(updater.passes(micro_batches, tokens, total))

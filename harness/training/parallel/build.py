"""The layout that a setting `parallel` asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import distributed

from harness.training.parallel.config import Parallel
from harness.training.parallel.layout import Layout


def build_layout(parallel: Parallel) -> Layout:
    """The layout of this process, which is one of the ranks of torch's process group.

    Raises RuntimeError if the group has another number of ranks than the setting.
    """
    if parallel.ranks == 1:
        return Layout()
    ranks = distributed.get_world_size() if distributed.is_initialized() else 1
    if ranks != parallel.ranks:
        raise RuntimeError(f"{parallel.ranks} ranks were asked for, but this process is one of {ranks}")
    return _layout_class(parallel)(rank=distributed.get_rank(), ranks=ranks)


def _layout_class(parallel: Parallel) -> Callable[..., Layout]:
    """Only the layout that is used is imported, because the modules of torch behind some take a second."""
    match parallel.layout:
        case "data":
            from harness.training.parallel.data import DataRanks

            return DataRanks
        case "shard":
            from harness.training.parallel.shard import ShardedRanks

            return ShardedRanks
        case "tensor":
            from harness.training.parallel.tensor import TensorRanks

            return TensorRanks
        case "pipeline":
            from harness.training.parallel.pipeline import PipelineRanks

            return partial(PipelineRanks, parts=parallel.micro_batches)

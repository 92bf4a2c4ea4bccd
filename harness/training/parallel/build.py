"""The layout that a setting `parallel` asks for."""

from __future__ import annotations

from torch import distributed

from harness.training.parallel.config import Parallel
from harness.training.parallel.data import DataRanks
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
    return DataRanks(rank=distributed.get_rank(), ranks=ranks)

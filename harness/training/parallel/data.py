"""Data parallelism: every rank has the model and a part of the rows of each micro-batch; the gradients are
summed over all ranks after the backward passes (Li et al. 2020, §3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, distributed, nn

from harness.models.config import IGNORED_TARGET
from harness.training.objective import MicroBatch, counted
from harness.training.parallel.layout import Layout, Passes, Shares

SEEDS_APART = 1_000_003
"""The difference between the seeds of two neighbouring ranks."""


class DataRanks(Layout):
    """The ranks of torch's process group, which must exist.

    A mean over the target tokens of all ranks is the sum over ranks of the sums over tokens, divided by the
    number of all tokens. A mean of the ranks' means would weigh the tokens of a rank with fewer of them more.
    """

    def seed(self, seed: int) -> int:
        return seed + SEEDS_APART * self.rank

    def share(self, micro_batches: Sequence[MicroBatch], tokens: Sequence[int]) -> Shares:
        """Neighbouring rows of each micro-batch. A rank without rows gets one row in which nothing counts, so
        that it takes part in the communication.
        """
        del tokens
        shares = [self._rows(batch) for batch in micro_batches]
        return shares, [counted(share) for share in shares]

    def _rows(self, batch: MicroBatch) -> MicroBatch:
        parts = tuple(np.array_split(array, self.ranks)[self.rank] for array in batch)
        if len(parts[0]):
            return parts
        *inputs, targets = (array[:1] for array in batch)
        return (*inputs, np.full_like(targets, IGNORED_TARGET))

    def accumulate(
        self, updater: Passes, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        means = updater.passes(micro_batches, tokens, total)
        sum_gradients(updater.parameters)
        return sum_over_ranks(means)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradients on every rank by their sum over all ranks.

    A parameter that a rank did not use counts as having a gradient of zero there.
    """
    works = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        works.append(distributed.all_reduce(parameter.grad, async_op=True))
    for work in works:
        assert work is not None
        work.wait()


def sum_over_ranks(means: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The sums over all ranks of scalars with equal names."""
    stacked = torch.stack(list(means.values()))
    distributed.all_reduce(stacked)
    return dict(zip(means, stacked, strict=True))

"""ranks-parity: several processes that share a batch make the same updates as one process with all of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, replaced
from harness.invariants.subjects import Subject, TrainingSubject

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def _mean_of_rank_means() -> AbstractContextManager[None]:
    from torch import distributed

    from harness.training import ranks

    def as_if_alike(tokens: int, device: torch.device) -> int:
        del device
        return tokens * (distributed.get_world_size() if ranks.several_ranks() else 1)

    return replaced(ranks.tokens_of_all, as_if_alike)


def _not_summed() -> AbstractContextManager[None]:
    from harness.training import ranks

    def unchanged(parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
        del parameters
        return loss

    return replaced(ranks.sum_over_ranks, unchanged)


class RanksParity(Invariant[TrainingSubject]):
    """Two ranks over gloo, with 3 and 40 counted targets.

    On a study's arm the ranks are simulated one after another.
    """

    name: ClassVar[str] = "ranks-parity"
    statement: ClassVar[str] = (
        "Two ranks with different numbers of target tokens make the same updates as one rank with all tokens."
    )
    needs: ClassVar[type[Subject]] = TrainingSubject
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="mean-of-rank-means",
            summary="all ranks have the same weight, although they have different numbers of tokens",
            bug=_mean_of_rank_means,
        ),
        PlantedBug(
            name="not-summed",
            summary="every rank uses only its own gradients",
            bug=_not_summed,
        ),
    )

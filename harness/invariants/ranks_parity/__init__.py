"""ranks-parity: several processes that share a batch make the same updates as one process with all of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@instead_of("harness.training.ranks", "tokens_of_all", everywhere=True)
def _mean_of_rank_means(_: object, tokens: int, __: torch.device) -> int:
    from torch import distributed

    from harness.training import ranks

    return tokens * (distributed.get_world_size() if ranks.several_ranks() else 1)


@instead_of("harness.training.ranks", "sum_over_ranks", everywhere=True)
def _not_summed(_: object, __: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
    return loss


class RanksParity(Invariant[TrainingSubject]):
    """Two ranks over gloo, with 3 and 40 counted targets.

    On a study's arm the ranks are simulated one after another.
    """

    statement: ClassVar[str] = (
        "Two ranks with different numbers of target tokens make the same updates as one rank with all tokens."
    )
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

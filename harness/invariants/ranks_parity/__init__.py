"""ranks-parity: several processes that share the work of an update make the same updates as one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from torch import Tensor

    from harness.training.parallel.layout import Layout, Shares
    from harness.training.update import Updater

DATA = "data"


@instead_of("harness.training.parallel.data", "DataRanks.share")
def _mean_of_rank_means(
    original: Callable[..., Shares], layout: Layout, micro_batches: Sequence[Any], tokens: Sequence[int]
) -> Shares:
    shares, _ = original(layout, micro_batches, tokens)
    return shares, [max(1, count // layout.ranks) for count in tokens]


@instead_of("harness.training.parallel.data", "sum_gradients")
def _one_rank_not_reduced(original: Callable[..., None], parameters: Sequence[Any]) -> None:
    import torch
    from torch import distributed

    mine = [None if parameter.grad is None else parameter.grad.clone() for parameter in parameters]
    original(parameters)
    if distributed.get_rank() == 0:
        for parameter, gradient in zip(parameters, mine, strict=True):
            parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient


@instead_of("harness.training.update", "Updater._step")
def _skipped_on_one_rank(original: Callable[..., bool], updater: Updater) -> bool:
    scaler = updater.scaler
    if scaler is None or updater.layout.ranks == 1 or updater.layout.rank == 0:
        return original(updater)
    updater.optimizer.step()
    scaler.update()
    return True


@instead_of("harness.training.parallel.data", "sum_over_ranks")
def _loss_of_one_rank(_: object, means: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return means


class RanksParity(Invariant[TrainingSubject]):
    """Two ranks over gloo, with 3 and 40 counted targets, and a rank with an infinite gradient.

    An arm with several ranks trains in as many processes on the CPU. On any other arm, two ranks are
    simulated one after another. The level is the layout of the arm's ranks.
    """

    levels: ClassVar[tuple[str, ...]] = (DATA,)

    statement: ClassVar[str] = (
        "Several ranks with different numbers of target tokens make the same updates as one rank with all "
        "tokens, and an infinite gradient on one rank skips the update on all of them."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="mean-of-rank-means",
            summary="all ranks have the same weight, although they have different numbers of tokens",
            bug=_mean_of_rank_means,
            levels=(DATA,),
        ),
        PlantedBug(
            name="one-rank-not-reduced",
            summary="rank 0 uses only its own gradients",
            bug=_one_rank_not_reduced,
            levels=(DATA,),
        ),
        PlantedBug(
            name="loss-of-one-rank",
            summary="the loss that is reported is the share of one rank",
            bug=_loss_of_one_rank,
            levels=(DATA,),
        ),
        PlantedBug(
            name="skipped-on-one-rank",
            summary="an infinite gradient skips the update on rank 0 only",
            bug=_skipped_on_one_rank,
            levels=(DATA,),
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        return subject.parallel.layout

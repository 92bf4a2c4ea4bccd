"""ranks-parity: several processes that share the work of an update make the same updates as one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject
from harness.training.parallel.config import LayoutName

if TYPE_CHECKING:
    from torch import Tensor

    from harness.training.parallel.layout import Layout, Shares
    from harness.training.update import Updater

LAYOUTS: tuple[LayoutName, ...] = get_args(LayoutName)
DATA, SHARD, TENSOR, PIPELINE = LAYOUTS


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
    layout = updater.layout
    if scaler is None or layout.ranks == 1 or layout.rank == 0 or not layout.complete:
        return original(updater)
    updater.optimizer.step()
    scaler.update()
    return True


@instead_of("harness.training.parallel.split", "SplitRanks.agree")
def _skip_not_agreed(_: object, __: Layout, ___: Tensor) -> None:
    return None


@instead_of("harness.training.parallel.split", "SplitRanks.norm")
def _norm_of_one_rank(_: object, __: Layout, parameters: Sequence[Any]) -> Tensor:
    from torch import nn

    return nn.utils.get_total_norm(p.grad for p in parameters if p.grad is not None)


@instead_of("harness.training.parallel.split", "SplitRanks.counts")
def _copies_are_counted(*_: object) -> bool:
    return True


@instead_of("harness.training.parallel.pipeline", "PipelineRanks.from_other_end")
def _tied_not_summed(_: object, __: Layout, gradient: Tensor) -> Tensor:
    return gradient.new_zeros(gradient.shape)


@instead_of("harness.training.parallel.pipeline", "ScheduleGPipe")
def _divided_by_parts(original: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    return original(*arguments, **{**settings, "scale_grads": True})


@instead_of("torch.distributed.fsdp", "FSDPModule.set_gradient_divide_factor")
def _averaged(*_: object) -> None:
    return None


@instead_of("harness.training.parallel.data", "sum_over_ranks", everywhere=True)
def _loss_of_one_rank(_: object, means: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return means


class RanksParity(Invariant[TrainingSubject]):
    """Two ranks over gloo, with 3 and 40 counted targets, and a rank with an infinite gradient.

    An arm with several ranks trains in as many processes on the CPU. On any other arm, two ranks are
    simulated one after another. The level is the layout of the arm's ranks.
    """

    levels: ClassVar[tuple[str, ...]] = LAYOUTS

    statement: ClassVar[str] = (
        "Several ranks with different numbers of target tokens make the same updates as one rank with all "
        "tokens, and an infinite gradient on one rank skips the update on all of them."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="mean-of-rank-means",
            summary="all ranks have the same weight, although they have different numbers of tokens",
            bug=_mean_of_rank_means,
            levels=(DATA, SHARD),
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
            levels=(DATA, SHARD, PIPELINE),
        ),
        PlantedBug(
            name="averaged-over-ranks",
            summary="the gradients of sharded ranks are averaged, although they are shares of one mean",
            bug=_averaged,
            levels=(SHARD,),
        ),
        PlantedBug(
            name="norm-of-one-rank",
            summary="every rank clips its part of the gradient by the norm of this part",
            bug=_norm_of_one_rank,
            levels=(SHARD, TENSOR, PIPELINE),
        ),
        PlantedBug(
            name="copies-are-counted",
            summary="the norm counts a value that every rank has once for each rank",
            bug=_copies_are_counted,
            levels=(TENSOR,),
        ),
        PlantedBug(
            name="skipped-on-one-rank",
            summary="an infinite gradient skips the update on rank 0 only",
            bug=_skipped_on_one_rank,
            levels=(DATA,),
        ),
        PlantedBug(
            name="skip-not-agreed",
            summary="a rank whose part of the gradient is infinite skips the update alone",
            bug=_skip_not_agreed,
            levels=(SHARD, TENSOR, PIPELINE),
        ),
        PlantedBug(
            name="tied-not-summed",
            summary="the first and the last rank of a pipeline step a tied embedding by their own gradients",
            bug=_tied_not_summed,
            levels=(PIPELINE,),
        ),
        PlantedBug(
            name="divided-by-parts",
            summary="the gradients of a pipeline are divided by the number of parts, as if these were means",
            bug=_divided_by_parts,
            levels=(PIPELINE,),
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        return subject.parallel.layout

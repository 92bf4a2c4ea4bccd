"""communicated-bytes: ranks send the bytes that the closed form of their layout gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.ranks_parity import DATA, LAYOUTS, PIPELINE, SHARD, TENSOR
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.training.parallel.layout import Layout


@instead_of("harness.training.parallel.data", "sum_gradients")
def _summed_and_sent_again(original: Callable[..., None], parameters: Sequence[Any]) -> None:
    from torch import distributed

    original(parameters)
    for parameter in parameters:
        distributed.broadcast(parameter.grad, src=0)


@instead_of("harness.training.parallel.shard", "fully_shard")
def _blocks_stay_gathered(
    original: Callable[..., nn.Module], module: nn.Module, **settings: Any
) -> nn.Module:
    return original(module, **settings, reshard_after_forward=False)


@instead_of("harness.training.parallel.tensor", "_styles")
def _inputs_are_not_shared(original: Callable[..., dict[str, Any]], block: nn.Module) -> dict[str, Any]:
    return {name: style for name, style in original(block).items() if name != "attention"}


@instead_of("harness.training.parallel.pipeline", "PipelineRanks.from_other_end")
def _exchanged_twice(original: Callable[..., Tensor], layout: Layout, gradient: Tensor) -> Tensor:
    original(layout, gradient)
    return original(layout, gradient)


@instead_of("harness.training.parallel.traffic", "over_ranks", everywhere=True)
def _one_rank_is_counted(_: object, value: float, __: object, *, largest: bool = False) -> float:
    del largest
    return value


class CommunicatedBytes(Invariant[TrainingSubject]):
    """Two ranks over gloo make two updates, and the bytes of the second one are counted from its collectives.

    An arm with several ranks does so with its own model and micro-batches. The level is the layout of the
    ranks.
    """

    levels: ClassVar[tuple[str, ...]] = LAYOUTS

    statement: ClassVar[str] = (
        "In an update, the ranks of a training send exactly the bytes that the closed form of their layout "
        "gives."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="summed-and-sent-again",
            summary="rank 0 sends the gradients to all ranks after they were summed on all ranks",
            bug=_summed_and_sent_again,
            levels=(DATA,),
        ),
        PlantedBug(
            name="blocks-stay-gathered",
            summary="the parameters of blocks are not freed between the forward and the backward pass",
            bug=_blocks_stay_gathered,
            levels=(SHARD,),
        ),
        PlantedBug(
            name="inputs-are-not-shared",
            summary="the gradients of queries, keys and values are summed over the ranks one by one",
            bug=_inputs_are_not_shared,
            levels=(TENSOR,),
        ),
        PlantedBug(
            name="exchanged-twice",
            summary="the ends of a pipeline exchange the gradients of a tied embedding twice",
            bug=_exchanged_twice,
            levels=(PIPELINE,),
        ),
        PlantedBug(
            name="one-rank-is-counted",
            summary="the bytes of rank 0 count as those of all ranks",
            bug=_one_rank_is_counted,
            levels=LAYOUTS,
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        return subject.parallel.layout

"""accumulation-parity: micro-batches give the same update as one big batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from harness.models.loss import Loss
    from harness.training.objective import MicroBatch
    from harness.training.update import Updater


@instead_of("harness.training.update", "Updater.accumulate")
def _mean_of_means(
    original: Callable[..., Loss],
    updater: Updater,
    micro_batches: Sequence[MicroBatch],
    tokens: Sequence[int],
) -> Loss:
    return original(updater, micro_batches, [1 for _ in tokens])


@instead_of("harness.training.update", "Updater.accumulate")
def _not_divided(
    original: Callable[..., Loss],
    updater: Updater,
    micro_batches: Sequence[MicroBatch],
    tokens: Sequence[int],
) -> Loss:
    loss = original(updater, micro_batches, tokens)
    for parameter in updater.objective.model.parameters():
        if parameter.grad is not None:
            parameter.grad *= len(micro_batches)
    return loss


@instead_of("harness.training.update", "Updater.accumulate")
def _first_forgotten(
    original: Callable[..., Loss],
    updater: Updater,
    micro_batches: Sequence[MicroBatch],
    tokens: Sequence[int],
) -> Loss:
    loss = original(updater, micro_batches, tokens)
    if len(micro_batches) > 1:
        updater.optimizer.zero_grad(set_to_none=True)
        original(updater, micro_batches[-1:], tokens[-1:])
    return loss


class AccumulationParity(Invariant[TrainingSubject]):
    """Micro-batches with 3, 17 and 40 counted targets on tiny models, without dropout, which differs between
    the two layouts.
    """

    statement: ClassVar[str] = (
        "Micro-batches give the same gradients, losses and updates as one big batch: every target token has "
        "the same weight."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="mean-of-means",
            summary="micro-batches have the same weight, whatever their token counts (transformers#34191)",
            bug=_mean_of_means,
        ),
        PlantedBug(
            name="not-divided",
            summary="the gradients of the micro-batches are summed instead of averaged",
            bug=_not_divided,
        ),
        PlantedBug(
            name="first-forgotten",
            summary="the gradients are cleared between micro-batches",
            bug=_first_forgotten,
        ),
    )

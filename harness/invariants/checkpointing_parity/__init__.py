"""checkpointing-parity: computing activations again instead of storing them changes memory and time and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from torch import Tensor

RECOMPUTED = ("blocks", "attention")


@instead_of("harness.models.block", "recomputed")
def _rng_not_preserved(_: object, function: Callable[..., Tensor], *arguments: Any) -> Any:
    from torch.utils.checkpoint import checkpoint

    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


@instead_of("harness.models.block", "recomputed")
def _other_inputs(
    original: Callable[..., Tensor], function: Callable[..., Tensor], x: Tensor, *others: Any
) -> Tensor:
    runs = 0

    def run(x: Tensor, *others: Any) -> Tensor:
        nonlocal runs
        runs += 1
        return function(x if runs == 1 else x.roll(1, dims=1), *others)

    return original(run, x, *others)


class CheckpointingParity(Invariant[TrainingSubject]):
    """Level "none" is the reference itself; its checks make sure that training is deterministic."""

    statement: ClassVar[str] = (
        "Activation checkpointing with dropout gives the same loss, gradients and five updates, to the last "
        "bit."
    )
    levels: ClassVar[tuple[str, ...]] = ("none", *RECOMPUTED)
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="rng-not-preserved",
            summary="the second computation draws new random numbers for dropout",
            levels=RECOMPUTED,
            bug=_rng_not_preserved,
        ),
        PlantedBug(
            name="other-inputs",
            summary="the second computation has another input than the first",
            levels=RECOMPUTED,
            bug=_other_inputs,
        ),
    )

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:  # noqa: ARG002  every arm trains
        return True

    def level_of(self, subject: TrainingSubject) -> str:
        return subject.transformer.config.checkpointing.kind

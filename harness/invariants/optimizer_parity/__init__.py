"""optimizer-parity: an optimizer makes the same updates whether it is fused, works on lists of tensors or on
one tensor after another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject

IMPLEMENTATIONS = ("for-loop", "foreach", "fused")


@instead_of("torch.optim.adam", "_fused_adam")
def _fused_without_decay(original: Callable[..., None], *tensors: Any, **settings: Any) -> None:
    original(*tensors, **{**settings, "weight_decay": 0.0})


@instead_of("torch.optim.adam", "_multi_tensor_adam")
def _foreach_betas_exchanged(
    original: Callable[..., None], *tensors: Any, beta1: float, beta2: float, **settings: Any
) -> None:
    original(*tensors, beta1=beta2, beta2=beta1, **settings)


class OptimizerParity(Invariant[TrainingSubject]):
    """torch's optimizers, in 20 updates with clipping.

    Level "for-loop" is the reference, where training must repeat itself.
    """

    statement: ClassVar[str] = (
        "The fused and foreach implementations of an optimizer make the same updates as the one that loops "
        "over tensors."
    )
    levels: ClassVar[tuple[str, ...]] = IMPLEMENTATIONS
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="fused-without-decay",
            summary="the fused Adam forgets the weight decay",
            bug=_fused_without_decay,
            levels=("fused",),
        ),
        PlantedBug(
            name="foreach-betas-exchanged",
            summary="the foreach Adam exchanges its two betas",
            bug=_foreach_betas_exchanged,
            levels=("foreach",),
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        group = subject.updater(subject.build(subject.config)).optimizer.param_groups[0]
        return "fused" if group.get("fused") else "foreach" if group.get("foreach") else "for-loop"

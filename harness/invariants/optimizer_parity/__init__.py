"""optimizer-parity: an optimizer makes the same updates whether it is fused, works on lists of tensors or on
one tensor after another.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, patched
from harness.invariants.subjects import Subject, TrainingSubject

IMPLEMENTATIONS = ("for-loop", "foreach", "fused")


def _fused_without_decay() -> AbstractContextManager[None]:
    from torch.optim import adam

    original = adam._fused_adam

    def undecayed(*tensors: Any, weight_decay: float, **settings: Any) -> None:
        del weight_decay
        original(*tensors, weight_decay=0.0, **settings)

    return patched(adam, "_fused_adam", undecayed)


def _foreach_betas_exchanged() -> AbstractContextManager[None]:
    from torch.optim import adam

    original = adam._multi_tensor_adam

    def exchanged(*tensors: Any, beta1: float, beta2: float, **settings: Any) -> None:
        original(*tensors, beta1=beta2, beta2=beta1, **settings)

    return patched(adam, "_multi_tensor_adam", exchanged)


class OptimizerParity(Invariant[TrainingSubject]):
    """torch's optimizers, in 20 updates with clipping.

    Level "for-loop" is the reference, where training must repeat itself.
    """

    name: ClassVar[str] = "optimizer-parity"
    statement: ClassVar[str] = (
        "The fused and foreach implementations of an optimizer make the same updates as the one that loops "
        "over tensors."
    )
    needs: ClassVar[type[Subject]] = TrainingSubject
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

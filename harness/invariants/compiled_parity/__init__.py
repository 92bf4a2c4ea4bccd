"""compiled-parity: compiled code computes the same as code that is not compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from torch import Tensor

EAGER, COMPILED = "eager", "compiled"


@instead_of("torch", "compile")
def _lower_precision(
    _: object, function: Callable[..., Tensor], *__: object, **___: object
) -> Callable[..., Tensor]:
    import torch

    def run(*arguments: Any) -> Tensor:
        with torch.autocast(arguments[0].device.type, dtype=torch.bfloat16):
            return function(*arguments)

    return run


@instead_of("torch", "compile")
def _stale_weights(_: object, function: Any, *__: object, **___: object) -> Callable[..., Tensor]:
    copied: Callable[..., Tensor] = getattr(copy.deepcopy(function.__self__), function.__name__)
    return copied


class CompiledParity(Invariant[TrainingSubject]):
    """Without dropout, because compiled code draws other random numbers.

    At level "eager" nothing is compiled, and the computation must repeat itself.
    """

    statement: ClassVar[str] = (
        "The compiled step gives the same losses, gradients and updates as the eager one."
    )
    levels: ClassVar[tuple[str, ...]] = (EAGER, COMPILED)
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="lower-precision",
            summary="compiled products are computed in bfloat16, although float32 was asked for",
            bug=_lower_precision,
            levels=(COMPILED,),
        ),
        PlantedBug(
            name="stale-weights",
            summary="the compiled step keeps using the weights that it was compiled with",
            bug=_stale_weights,
            levels=(COMPILED,),
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        return COMPILED if subject.compiles else EAGER

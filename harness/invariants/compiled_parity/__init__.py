"""compiled-parity: what torch compiles computes what it computes step by step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, Mutant, patched
from harness.invariants.subjects import Subject, TrainingSubject

if TYPE_CHECKING:
    from torch import Tensor

EAGER, COMPILED = "eager", "compiled"


def _lower_precision() -> AbstractContextManager[None]:
    import torch

    def careless(function: Callable[..., Tensor], *_: Any, **__: Any) -> Callable[..., Tensor]:
        def run(*arguments: Any) -> Tensor:
            with torch.autocast(arguments[0].device.type, dtype=torch.bfloat16):
                return function(*arguments)

        return run

    return patched(torch, "compile", careless)


def _stale_weights() -> AbstractContextManager[None]:
    import torch

    def frozen(function: Any, *_: Any, **__: Any) -> Callable[..., Tensor]:
        kept: Callable[..., Tensor] = getattr(copy.deepcopy(function.__self__), function.__name__)
        return kept

    return patched(torch, "compile", frozen)


class CompiledParity(Invariant[TrainingSubject]):
    """Without dropout: compiled code draws random numbers of its own.

    Level "eager" compiles nothing and repeats itself.
    """

    name: ClassVar[str] = "compiled-parity"
    statement: ClassVar[str] = "The compiled step gives the losses, gradients and updates of the eager one."
    needs: ClassVar[type[Subject]] = TrainingSubject
    levels: ClassVar[tuple[str, ...]] = (EAGER, COMPILED)
    mutants: ClassVar[tuple[Mutant, ...]] = (
        Mutant(
            name="lower-precision",
            summary="compiled products are in bfloat16, which nobody asked for",
            bug=_lower_precision,
            levels=(COMPILED,),
        ),
        Mutant(
            name="stale-weights",
            summary="the compiled step goes on with the weights that it was compiled with",
            bug=_stale_weights,
            levels=(COMPILED,),
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        return COMPILED if subject.compiles else EAGER

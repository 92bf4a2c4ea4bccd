"""tied-embeddings: a model with tied embeddings always has one table of vectors, which both uses train."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from harness.invariants.base import Invariant, PlantedBug, instead_of, patched
from harness.invariants.subjects import Subject

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.embedding import Output, OutputProjection, TokenEmbedding

TIED, UNTIED = "tied", "untied"


def _other_weight(change: Callable[[Output, Tensor], Tensor]) -> AbstractContextManager[None]:
    """Make a tied output use the weight that `change` returns."""
    from harness.models.embedding import Output

    original: Callable[[Output], OutputProjection] = vars(Output)["output"].fget

    def changed(self: Output) -> OutputProjection:
        right = original(self)
        return right if self.unembedding is not None else replace(right, weight=change(self, right.weight))

    return patched(Output, "output", property(changed))


def _output_copied() -> AbstractContextManager[None]:
    copies: WeakKeyDictionary[Output, Tensor] = WeakKeyDictionary()

    def copied(output: Output, weight: Tensor) -> Tensor:
        if output not in copies or copies[output].dtype != weight.dtype:
            copies[output] = weight.detach().clone().requires_grad_()
        return copies[output]

    return _other_weight(copied)


def _output_detached() -> AbstractContextManager[None]:
    return _other_weight(lambda _, weight: weight.detach())


@instead_of("harness.models.embedding", "TokenEmbedding.forward")
def _input_detached(original: Callable[..., Tensor], embedding: TokenEmbedding, tokens: Tensor) -> Tensor:
    return original(embedding, tokens).detach()


class TiedEmbeddings(Invariant[Subject]):
    """Checked after building, loading, copying and `.to`; at level "untied" there must be two tables."""

    statement: ClassVar[str] = (
        "Tied embeddings share one storage after loading and after `.to`, and their gradient is the sum of "
        "the gradients of both uses."
    )
    levels: ClassVar[tuple[str, ...]] = (TIED, UNTIED)
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="output-copied",
            summary="the output projection has a copy of the vectors",
            levels=(TIED,),
            bug=_output_copied,
        ),
        PlantedBug(
            name="output-detached",
            summary="the gradient of the output is lost",
            levels=(TIED,),
            bug=_output_detached,
        ),
        PlantedBug(
            name="input-detached",
            summary="the gradient of the input is lost",
            levels=(TIED, UNTIED),
            bug=_input_detached,
        ),
    )

    def level_of(self, subject: Subject) -> str:
        return TIED if subject.transformer.config.tie_embeddings else UNTIED

"""tied-embeddings: one table of vectors, whatever is done to the model, trained by both of its uses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from harness.invariants.base import Invariant, Mutant, patched
from harness.invariants.subjects import Subject

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.embedding import Output, OutputProjection

TIED, UNTIED = "tied", "untied"


def _output_copied() -> AbstractContextManager[None]:
    from harness.models.embedding import Output

    original: Callable[[Output], OutputProjection] = vars(Output)["output"].fget
    copies: WeakKeyDictionary[Output, Tensor] = WeakKeyDictionary()

    def copied(self: Output) -> OutputProjection:
        right = original(self)
        if self.unembedding is None and (self not in copies or copies[self].dtype != right.weight.dtype):
            copies[self] = right.weight.detach().clone().requires_grad_()
        return replace(right, weight=copies.get(self, right.weight))

    return patched(Output, "output", property(copied))


def _output_detached() -> AbstractContextManager[None]:
    from harness.models.embedding import Output

    original: Callable[[Output], OutputProjection] = vars(Output)["output"].fget

    def frozen(self: Output) -> OutputProjection:
        right = original(self)
        return right if self.unembedding is not None else replace(right, weight=right.weight.detach())

    return patched(Output, "output", property(frozen))


def _input_detached() -> AbstractContextManager[None]:
    from harness.models.embedding import TokenEmbedding

    original = TokenEmbedding.forward

    def frozen(self: TokenEmbedding, tokens: Tensor) -> Tensor:
        return original(self, tokens).detach()

    return patched(TokenEmbedding, "forward", frozen)


class TiedEmbeddings(Invariant[Subject]):
    """After building, loading, copying and `.to`; with level "untied" the two tables must be two."""

    name: ClassVar[str] = "tied-embeddings"
    statement: ClassVar[str] = (
        "Tied embeddings are one storage after loading and after `.to`, and their gradient is the sum of both uses."
    )
    levels: ClassVar[tuple[str, ...]] = (TIED, UNTIED)
    mutants: ClassVar[tuple[Mutant, ...]] = (
        Mutant(
            name="output-copied",
            summary="the output projection keeps a copy of the vectors",
            levels=(TIED,),
            bug=_output_copied,
        ),
        Mutant(
            name="output-detached",
            summary="the output's share of the gradient is lost",
            levels=(TIED,),
            bug=_output_detached,
        ),
        Mutant(
            name="input-detached",
            summary="the input's share of the gradient is lost",
            levels=(TIED, UNTIED),
            bug=_input_detached,
        ),
    )

    def level_of(self, subject: Subject) -> str:
        return TIED if subject.model.config.tie_embeddings else UNTIED

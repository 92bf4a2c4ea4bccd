"""padding-parity: neither padding nor the other rows of a batch change the results of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of, replaced
from harness.invariants.subjects import Subject

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.models.attention import MaskScope
    from harness.models.attention_kernels import AttentionMask
    from harness.models.position import Positions


@contextmanager
def _padding_attended() -> Iterator[None]:
    from harness.models import attention

    causal, both_ways = attention.attention_mask, attention.padding_mask

    def blind(queries: int, keys: int, *, valid: Tensor | None, device: torch.device) -> Tensor | None:
        del valid
        return causal(queries, keys, valid=None, device=device)

    def blind_encoder(valid: Tensor) -> Tensor:
        import torch

        return both_ways(torch.ones_like(valid))

    with ExitStack() as stack:
        stack.enter_context(replaced(causal, blind))
        stack.enter_context(replaced(both_ways, blind_encoder))
        yield


@instead_of("harness.models.position", "positions_of", everywhere=True)
def _padding_counted(
    original: Callable[..., Positions], *, past: int, tokens: int, valid: Tensor | None
) -> Positions:
    del valid
    return original(past=past, tokens=tokens, valid=None)


@instead_of("harness.models.encoder_decoder", "source_mask", everywhere=True)
def _source_padding_attended(_: object, __: Tensor | None) -> AttentionMask:
    from harness.models.attention_kernels import EVERYTHING

    return EVERYTHING


@instead_of("harness.models.loss", "cross_entropy", everywhere=True)
def _padding_in_the_loss(
    original: Callable[..., Tensor], logits: Tensor, targets: Tensor, **settings: object
) -> Tensor:
    return original(logits, targets.clamp(min=0), **settings)


@instead_of("harness.models.attention", "MaskScope.window")
def _window_counts_columns(_: object, scope: MaskScope, width: int) -> Tensor:
    import torch

    keys = torch.arange(scope.keys, device=scope.device)
    return (keys[scope.keys - scope.queries :, None] - keys).abs()[None, None] < width


class PaddingParity(Invariant[Subject]):
    """Prompts, sources and targets are padded on the left, on the right and inside, in batches of one and of
    several rows, at once and through a cache.
    """

    statement: ClassVar[str] = (
        "A row gives the same logits, loss and tokens alone as in a padded batch of any size."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="padding-attended",
            summary="the attention mask leaves padding visible",
            bug=_padding_attended,
        ),
        PlantedBug(
            name="padding-counted",
            summary="padding on the left shifts the positions of the tokens after it",
            bug=_padding_counted,
        ),
        PlantedBug(
            name="window-counts-columns",
            summary="padding inside a row takes the room of tokens in a window (transformers#41184)",
            bug=_window_counts_columns,
        ),
        PlantedBug(
            name="source-padding-attended",
            summary="cross-attention sees the padding of the source",
            bug=_source_padding_attended,
        ),
        PlantedBug(
            name="padding-in-the-loss",
            summary="padded targets count in the loss as if they were token 0",
            bug=_padding_in_the_loss,
        ),
    )

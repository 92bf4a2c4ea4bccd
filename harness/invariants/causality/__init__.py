"""causality: no logit depends on a token that comes after it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, patched, replaced
from harness.invariants.subjects import Subject

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.models.attention import MaskScope
    from harness.models.attention_kernels import AttentionMask


def _next_token_seen() -> AbstractContextManager[None]:
    from harness.models import attention

    def one_too_far(queries: int, keys: int, *, device: torch.device) -> Tensor:
        import torch

        return torch.ones((queries, keys), dtype=torch.bool, device=device).tril(keys - queries + 1)

    return replaced(attention.causal_mask, one_too_far)


def _flag_lost() -> AbstractContextManager[None]:
    from harness.models.attention_kernels import AttentionMask, ScaledDotProduct

    original = ScaledDotProduct.__call__

    def open_to_all(
        self: ScaledDotProduct, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, *, dropout: float
    ) -> Tensor:
        return original(self, q, k, v, AttentionMask(tensor=mask.tensor), dropout=dropout)

    return patched(ScaledDotProduct, "__call__", open_to_all)


def _window_both_ways() -> AbstractContextManager[None]:
    from harness.models import attention
    from harness.models.attention_kernels import AttentionMask

    original = attention.layer_mask

    def symmetric(
        scope: MaskScope, seen: Tensor | None, *, window: int | None, bias: Tensor | None
    ) -> AttentionMask:
        mask = original(scope, seen, window=window, bias=bias)
        if window is None or bias is not None or scope.queries == 1:
            return mask
        return AttentionMask(tensor=scope.window(window)[None, None])

    return replaced(original, symmetric)


class Causality(Invariant[Subject]):
    name: ClassVar[str] = "causality"
    statement: ClassVar[str] = (
        "The logits at a position do not change when later tokens change, and they have no gradient with "
        "respect to later tokens."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="next-token-seen",
            summary="the causal mask begins one position too late, so that every token sees the next one",
            bug=_next_token_seen,
        ),
        PlantedBug(
            name="causal-flag-lost",
            summary="the fused kernel is called without the causal flag",
            bug=_flag_lost,
        ),
        PlantedBug(
            name="window-both-ways",
            summary="layers with a window see as far ahead as they see back",
            bug=_window_both_ways,
        ),
    )

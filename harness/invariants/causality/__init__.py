"""causality: no logit depends on a token that comes after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import Subject

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.models.attention import MaskScope
    from harness.models.attention_kernels import AttentionMask, ScaledDotProduct


@instead_of("harness.models.attention", "causal_mask", everywhere=True)
def _next_token_seen(_: object, queries: int, keys: int, *, device: torch.device) -> Tensor:
    import torch

    return torch.ones((queries, keys), dtype=torch.bool, device=device).tril(keys - queries + 1)


@instead_of("harness.models.attention_kernels", "ScaledDotProduct.__call__")
def _flag_lost(
    original: Callable[..., Tensor],
    kernel: ScaledDotProduct,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: AttentionMask,
    *,
    dropout: float,
) -> Tensor:
    from harness.models.attention_kernels import AttentionMask

    return original(kernel, q, k, v, AttentionMask(tensor=mask.tensor), dropout=dropout)


@instead_of("harness.models.attention", "layer_mask", everywhere=True)
def _window_both_ways(
    original: Callable[..., AttentionMask],
    scope: MaskScope,
    seen: Tensor | None,
    *,
    window: int | None,
    bias: Tensor | None,
) -> AttentionMask:
    from harness.models.attention_kernels import AttentionMask

    mask = original(scope, seen, window=window, bias=bias)
    if window is None or bias is not None or scope.queries == 1:
        return mask
    return AttentionMask(tensor=scope.window(window))


class Causality(Invariant[Subject]):
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

"""Norms and where they are placed. Every norm says how many `parameters` it has over some width."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.models.config.base import Frozen, PositiveFloat


class LayerNorm(Frozen):
    """Layer normalisation (Ba et al. 2016, §3)."""

    kind: Literal["layernorm"] = "layernorm"
    eps: PositiveFloat = 1e-5
    """A small number that is added before the root, against division by zero."""

    def parameters(self, width: int) -> int:
        return 2 * width


class RMSNorm(Frozen):
    """Normalisation by the root mean square (Zhang & Sennrich 2019, §4).

    The gain is the weight, or 1 + weight with weights that start at 0 (Gemma).
    """

    kind: Literal["rmsnorm"] = "rmsnorm"
    eps: PositiveFloat = 1e-6
    """A small number that is added before the root, against division by zero."""

    gain: Literal["weight", "one-plus-weight"] = "weight"
    """Whether the gain is the weight, or 1 + weight with weights that start at 0 (Gemma)."""

    def parameters(self, width: int) -> int:
        return width


class NonParametricNorm(Frozen):
    """LayerNorm without gain and bias (OLMo: Groeneveld et al. 2024, §2.1)."""

    kind: Literal["non-parametric"] = "non-parametric"
    eps: PositiveFloat = 1e-5
    """A small number that is added before the root, against division by zero."""

    def parameters(self, width: int) -> int:  # noqa: ARG002
        return 0


Norm = Annotated[LayerNorm | RMSNorm | NonParametricNorm, Field(discriminator="kind")]

# pre: x + f(norm(x)); post: norm(x + f(x)); both: x + norm(f(norm(x))) (Gemma 2);
# output: x + norm(f(x)) (OLMo 2).
NormPlacement = Literal["pre", "post", "both", "output"]

# `by-placement` means a norm after the last block unless the block itself ends in one, as with "post".
FinalNorm = Literal["by-placement", "always", "never"]


class QKNorm(Frozen):
    """Queries and keys are normalised before they are rotated: each head (Qwen3), or all heads as one vector
    (OLMo 2).
    """

    norm: Norm = RMSNorm()
    """The kind of norm of queries and keys."""

    over: Literal["head", "all-heads"] = "head"
    """Whether each head is normalised by itself, or all heads as one vector."""

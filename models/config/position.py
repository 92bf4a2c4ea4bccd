"""How a model knows the order of its tokens."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.models.config.base import Count, Frozen, PositiveFloat, Sizes


class _Position(Frozen):
    """What the rest of the model asks of a position encoding. Most have no parameters and fit every model."""

    # Whether token vectors are multiplied by sqrt(width) when `embedding_scale` is `by-position`.
    scales_embedding: ClassVar[bool] = False

    def parameters(self, sizes: Sizes) -> int:  # noqa: ARG002
        """Parameters in one stack of blocks."""
        return 0

    def check(self, sizes: Sizes) -> None:
        """Raises ValueError if a model of these sizes cannot have this encoding."""


class NoPosition(_Position):
    """The order is known only through the causal mask (Kazemnejad et al. 2023, §2)."""

    kind: Literal["none"] = "none"


class SinusoidalPosition(_Position):
    """Fixed sines and cosines added to the scaled embeddings (Vaswani et al. 2017, §3.4-3.5).

    Sine and cosine of one frequency are side by side, or all sines come before all cosines (Marian).
    """

    kind: Literal["sinusoidal"] = "sinusoidal"
    layout: Literal["interleaved", "halves"] = "interleaved"
    """Whether sine and cosine of a frequency are side by side, or all sines come before all cosines."""

    scales_embedding: ClassVar[bool] = True

    def check(self, sizes: Sizes) -> None:
        if sizes.d_model % 2:
            raise ValueError(f"sinusoidal positions need an even d_model, not {sizes.d_model}")


class LearnedPosition(_Position):
    """One trained vector per position (Gehring et al. 2017, §3.1).

    BART and OPT leave the first two rows of the table unused: `offset` 2.
    """

    kind: Literal["learned"] = "learned"
    offset: Annotated[int, Field(ge=0)] = 0
    """The number of rows at the beginning of the table that are never used (BART and OPT: 2)."""

    def parameters(self, sizes: Sizes) -> int:
        return (self.offset + sizes.max_positions) * sizes.d_model


class RotaryPosition(_Position):
    """Queries and keys are rotated by their position (Su et al. 2021, §3.4).

    The first `fraction` of a head's width is rotated (GPT-J, GPT-NeoX). A pair is (i, i + half) or (2i,
    2i + 1).
    """

    kind: Literal["rotary"] = "rotary"
    base: PositiveFloat = 10_000.0
    """The base of the frequencies. A larger one suits longer texts."""

    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """The share of a head's width that is rotated."""

    layout: Literal["halves", "interleaved"] = "halves"
    """Which values form a pair: (i, i + half) in halves, or (2i, 2i + 1) interleaved."""

    def width(self, head_width: int) -> int:
        """The number of values of a head that are rotated."""
        return int(head_width * self.fraction)

    def check(self, sizes: Sizes) -> None:
        rotated = self.width(sizes.head_width)
        if self.fraction == 1.0 and rotated % 2:
            raise ValueError(
                f"rotary positions rotate pairs of values, but a head is {rotated} wide; choose d_model and "
                "n_heads, or attention.head_width, so that the width of a head is even"
            )
        if rotated < 2 or rotated % 2:
            raise ValueError(
                f"rotary positions rotate pairs of values, but position.fraction {self.fraction:g} of a head "
                f"of {sizes.head_width} values is {rotated}; choose a fraction that gives an even number"
            )


class AlibiPosition(_Position):
    """Attention logits fall linearly with distance, with one slope per head (Press et al. 2022, §3)."""

    kind: Literal["alibi"] = "alibi"


class RelativePosition(_Position):
    """A trained bias per head and bucket of distances, shared by the layers (Raffel et al. 2020, §2.1).

    Half of the buckets hold one distance each, the others grow logarithmically up to `max_distance`.
    """

    kind: Literal["relative"] = "relative"
    buckets: Annotated[int, Field(ge=4, multiple_of=4)] = 32
    """The number of groups of distances. Half of them hold one distance each."""

    max_distance: Count = 128
    """The distance from which on all distances share the last group."""

    def parameters(self, sizes: Sizes) -> int:
        return self.buckets * sizes.n_heads

    @model_validator(mode="after")
    def _distances_are_left_to_grow(self) -> Self:
        if self.max_distance <= self.buckets // 2:
            raise ValueError(
                f"{self.buckets // 2} of {self.buckets} buckets hold one distance each, so no bucket is left "
                f"for longer distances up to max_distance {self.max_distance}; use fewer buckets "
                "or a greater max_distance"
            )
        return self


Position = Annotated[
    NoPosition | SinusoidalPosition | LearnedPosition | RotaryPosition | AlibiPosition | RelativePosition,
    Field(discriminator="kind"),
]

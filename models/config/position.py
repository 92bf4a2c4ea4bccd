"""How a model knows the order of its tokens."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.config.base import Count, Frozen, PositiveFloat


class NoPosition(Frozen):
    """Order only through the causal mask (Kazemnejad et al. 2023, §2)."""

    kind: Literal["none"] = "none"


class SinusoidalPosition(Frozen):
    """Fixed sines and cosines added to the scaled embeddings (Vaswani et al. 2017, §3.4-3.5).

    Sine and cosine of a frequency stand side by side, or all sines before all cosines (Marian).
    """

    kind: Literal["sinusoidal"] = "sinusoidal"
    layout: Literal["interleaved", "halves"] = "interleaved"


class LearnedPosition(Frozen):
    """One trained vector a position (Gehring et al. 2017, §3.1); BART and OPT leave the first two rows unused."""

    kind: Literal["learned"] = "learned"
    offset: Annotated[int, Field(strict=True, ge=0)] = 0


class RotaryPosition(Frozen):
    """Queries and keys are rotated by their position (Su et al. 2021, §3.4).

    `fraction` of a head's width is turned, from its start (GPT-J, GPT-NeoX). A pair is (i, i + half) or (2i, 2i + 1).
    """

    kind: Literal["rotary"] = "rotary"
    base: PositiveFloat = 10_000.0
    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    layout: Literal["halves", "interleaved"] = "halves"

    def width(self, head_width: int) -> int:
        """Values of a head that are turned."""
        return int(head_width * self.fraction)


class AlibiPosition(Frozen):
    """Attention logits fall linearly with distance, each head at its own slope (Press et al. 2022, §3)."""

    kind: Literal["alibi"] = "alibi"


class RelativePosition(Frozen):
    """A trained bias per head and bucket of distances, shared by the layers (Raffel et al. 2020, §2.1).

    Half of the buckets hold one distance each, the others grow logarithmically up to `max_distance`.
    """

    kind: Literal["relative"] = "relative"
    buckets: Annotated[int, Field(strict=True, ge=4, multiple_of=4)] = 32
    max_distance: Count = 128

    @model_validator(mode="after")
    def _distances_are_left_to_grow(self) -> Self:
        if self.max_distance <= self.buckets // 2:
            raise ValueError(
                f"{self.buckets // 2} of {self.buckets} buckets hold one distance each, which leaves none up to "
                f"max_distance {self.max_distance}; give fewer buckets or a greater max_distance"
            )
        return self


Position = Annotated[
    NoPosition | SinusoidalPosition | LearnedPosition | RotaryPosition | AlibiPosition | RelativePosition,
    Field(discriminator="kind"),
]

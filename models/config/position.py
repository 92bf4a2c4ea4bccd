"""How a model knows the order of its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.models.config.base import Count, Frozen, PositiveFloat

if TYPE_CHECKING:
    from harness.models.config.model import Architecture


class _Position(Frozen):
    """What a position encoding may say of itself; most train nothing and fit every model."""

    # Whether token vectors are multiplied by sqrt(width) where nothing else is said.
    scales_embedding: ClassVar[bool] = False

    def parameters(self, model: Architecture) -> int:  # noqa: ARG002
        """Of one stack of blocks."""
        return 0

    def check(self, model: Architecture) -> None:
        """Raises ValueError where the model's sizes are none for it."""


class NoPosition(_Position):
    """Order only through the causal mask (Kazemnejad et al. 2023, §2)."""

    kind: Literal["none"] = "none"


class SinusoidalPosition(_Position):
    """Fixed sines and cosines added to the scaled embeddings (Vaswani et al. 2017, §3.4-3.5).

    Sine and cosine of a frequency stand side by side, or all sines before all cosines (Marian).
    """

    kind: Literal["sinusoidal"] = "sinusoidal"
    layout: Literal["interleaved", "halves"] = "interleaved"

    scales_embedding: ClassVar[bool] = True

    def check(self, model: Architecture) -> None:
        if model.d_model % 2:
            raise ValueError(f"sinusoidal positions need an even d_model, not {model.d_model}")


class LearnedPosition(_Position):
    """One trained vector a position (Gehring et al.

    2017, §3.1); BART and OPT leave the first two rows unused.
    """

    kind: Literal["learned"] = "learned"
    offset: Annotated[int, Field(ge=0)] = 0

    def parameters(self, model: Architecture) -> int:
        return (self.offset + model.max_positions) * model.d_model


class RotaryPosition(_Position):
    """Queries and keys are rotated by their position (Su et al. 2021, §3.4).

    `fraction` of a head's width is turned, from its start (GPT-J, GPT-NeoX). A pair is (i, i + half) or (2i,
    2i + 1).
    """

    kind: Literal["rotary"] = "rotary"
    base: PositiveFloat = 10_000.0
    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    layout: Literal["halves", "interleaved"] = "halves"

    def width(self, head_width: int) -> int:
        """Values of a head that are turned."""
        return int(head_width * self.fraction)

    def check(self, model: Architecture) -> None:
        turned = self.width(model.head_width)
        whole = "d_model / n_heads" if model.attention.head_width is None else "attention.head_width"
        if self.fraction == 1.0 and turned % 2:
            raise ValueError(
                f"rotary positions turn pairs, but a head is {whole} = {turned} wide; choose sizes that make it even"
            )
        if turned < 2 or turned % 2:
            raise ValueError(
                f"rotary positions turn pairs, but position.fraction {self.fraction:g} of a head of "
                f"{model.head_width} is {turned}; choose a fraction that makes it even and more than 0"
            )


class AlibiPosition(_Position):
    """Attention logits fall linearly with distance, each head at its own slope (Press et al. 2022, §3)."""

    kind: Literal["alibi"] = "alibi"


class RelativePosition(_Position):
    """A trained bias per head and bucket of distances, shared by the layers (Raffel et al. 2020, §2.1).

    Half of the buckets hold one distance each, the others grow logarithmically up to `max_distance`.
    """

    kind: Literal["relative"] = "relative"
    buckets: Annotated[int, Field(ge=4, multiple_of=4)] = 32
    max_distance: Count = 128

    def parameters(self, model: Architecture) -> int:
        return self.buckets * model.n_heads

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

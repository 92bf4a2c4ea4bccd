"""Every choice of the architecture, on one page. Torch-free, frozen, keyword-only.

Variants are members of a discriminated union on `kind`; sizes come from a named preset or one by one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CacheKind = Literal["none", "dynamic", "static", "doubling"]

# Positions that a doubling cache makes room for at first.
DOUBLING_FIRST_CAPACITY = 16

Count = Annotated[int, Field(strict=True, gt=0)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SinusoidalPosition(Frozen):
    """Fixed sines and cosines added to the scaled embeddings (Vaswani et al. 2017, §3.4-3.5)."""

    kind: Literal["sinusoidal"] = "sinusoidal"


class LearnedPosition(Frozen):
    """One trained vector a position (Gehring et al. 2017, §3.1)."""

    kind: Literal["learned"] = "learned"


class RotaryPosition(Frozen):
    """Queries and keys are rotated by their position (Su et al. 2021, §3.4)."""

    kind: Literal["rotary"] = "rotary"
    base: PositiveFloat = 10_000.0


class LayerNorm(Frozen):
    """Ba et al. 2016, §3."""

    kind: Literal["layernorm"] = "layernorm"
    eps: PositiveFloat = 1e-5


class RMSNorm(Frozen):
    """Zhang & Sennrich 2019, §4."""

    kind: Literal["rmsnorm"] = "rmsnorm"
    eps: PositiveFloat = 1e-6


Position = Annotated[SinusoidalPosition | LearnedPosition | RotaryPosition, Field(discriminator="kind")]
Norm = Annotated[LayerNorm | RMSNorm, Field(discriminator="kind")]
Activation = Literal["relu", "gelu", "silu"]


class ModelConfig(Frozen):
    """A decoder-only language model. Raises pydantic's ValidationError (a ValueError) for what cannot be built."""

    vocab_size: Count
    d_model: Count
    n_layers: Count
    n_heads: Count
    d_ff: Count
    max_positions: Count
    position: Position = RotaryPosition()
    norm: Norm = LayerNorm()
    norm_placement: Literal["pre", "post"] = "pre"
    activation: Activation = "gelu"
    dropout: Probability = 0.0
    tie_embeddings: bool = True
    init_std: PositiveFloat = 0.02

    @property
    def head_width(self) -> int:
        return self.d_model // self.n_heads

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}")
        if isinstance(self.position, RotaryPosition) and self.head_width % 2:
            raise ValueError(
                f"rotary positions turn pairs, but a head is d_model / n_heads = {self.head_width} wide; "
                "choose sizes that make it even"
            )
        if isinstance(self.position, SinusoidalPosition) and self.d_model % 2:
            raise ValueError(f"sinusoidal positions need an even d_model, not {self.d_model}")
        return self


PRESETS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "nano": {"d_model": 128, "n_layers": 2, "n_heads": 4, "d_ff": 512, "max_positions": 512},
        "tiny": {"d_model": 256, "n_layers": 4, "n_heads": 4, "d_ff": 1024, "max_positions": 1024},
        "small": {"d_model": 512, "n_layers": 8, "n_heads": 8, "d_ff": 2048, "max_positions": 2048},
    }
)


def model_config(settings: Mapping[str, Any], *, vocab_size: int) -> ModelConfig:
    """Resolve `{preset: nano, n_layers: 4}`: the preset's sizes, then what the settings say themselves.

    Raises ValueError, one line, for an unknown preset or setting and for what cannot be built.
    """
    own = dict(settings)
    preset = own.pop("preset", None)
    if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
        raise ValueError(f"model: unknown preset {preset!r}; {_nearest(preset, PRESETS)}")
    if "vocab_size" in own:
        raise ValueError("model: vocab_size is the tokenizer's; remove it from the model's settings")
    known = ["preset", *(name for name in ModelConfig.model_fields if name != "vocab_size")]
    for name in own:
        if name not in known:
            raise ValueError(f"model: unknown setting {name!r}; {_nearest(name, known)}")
    try:
        return ModelConfig.model_validate({**PRESETS.get(preset or "", {}), **own, "vocab_size": vocab_size})
    except ValidationError as error:
        raise ValueError(f"model: {_one_line(error)}") from error


def _nearest(word: object, known: Mapping[str, Any] | list[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)


def _one_line(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        problems.append(f"{where}: {what}" if where else what)
    return "; ".join(problems)

"""What every part of a config is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

CacheKind = Literal["none", "dynamic", "static", "doubling"]

# Positions that a doubling cache makes room for at first.
DOUBLING_FIRST_CAPACITY = 16

Count = Annotated[int, Field(strict=True, gt=0)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

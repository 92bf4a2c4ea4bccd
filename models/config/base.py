"""What every part of a config is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

CacheKind = Literal["none", "dynamic", "static", "doubling"]

# Positions that a doubling cache makes room for at first.
DOUBLING_FIRST_CAPACITY = 16

Count = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


# For a field that is a tuple: a document has lists, and strict validation of Python data would refuse them.
FROM_LIST = Strict(strict=False)


class Frozen(BaseModel):
    """The base of all configs here: immutable, and strict. `no` is a string, not False, and "0.1" is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

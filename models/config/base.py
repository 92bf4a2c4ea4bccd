"""What every part of a config is made of. Torch-free."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, Strict
from pydantic_core import CoreSchema, core_schema

CacheKind = Literal["none", "dynamic", "static", "doubling"]

# The number of positions for which a doubling cache has room at first.
DOUBLING_FIRST_CAPACITY = 16

# The value of a target that the loss leaves out.
IGNORED_TARGET = -100

Count = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

# For a field that is a tuple: a document has lists, and strict validation of Python data would refuse them.
FROM_LIST = Strict(strict=False)


class Frozen(BaseModel):
    """The base of all configs here: immutable and strict. `no` is text, and "0.1" is not a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Sizes(Protocol):
    """The sizes of a model from which its parts compute their parameters and costs."""

    @property
    def d_model(self) -> int: ...
    @property
    def n_heads(self) -> int: ...
    @property
    def d_ff(self) -> int: ...
    @property
    def max_positions(self) -> int: ...
    @property
    def head_width(self) -> int: ...


class LayerPart(Frozen, ABC):
    """What the rest of the model asks of every layer."""

    @property
    def auxiliary_losses(self) -> Mapping[str, float]:
        """The names of the auxiliary losses that a layer returns, each with its weight in the objective."""
        return {}

    @abstractmethod
    def parameters(self, sizes: Sizes) -> int:
        """Parameters of one layer."""


class KindOr:
    """Makes a union of configs that is discriminated by `kind`; a document without a kind means the default.

    Use it as `Annotated[First | Second, KindOr("first")]`. One member alone is a union too.
    """

    def __init__(self, default: str) -> None:
        self.default = default

    def kind(self, document: Any) -> str:
        if isinstance(document, dict):
            return str(document.get("kind", self.default))
        return str(getattr(document, "kind", self.default))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members = get_args(source) or (source,)
        choices = {member.model_fields["kind"].default: handler.generate_schema(member) for member in members}
        return core_schema.tagged_union_schema(choices, discriminator=self.kind)

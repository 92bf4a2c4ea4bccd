"""The precision of the computations of an update, and the precision of its weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from harness.config import Config

if TYPE_CHECKING:
    import torch


_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


class _Precision(Config):
    """`computed` is the type of the matrix products; `master_weights` is the type of the weights and of the
    optimizer's state.
    """

    kind: str
    computed: ClassVar[str] = "float32"
    master_weights: ClassVar[str] = "float32"

    @property
    def bytes_per_weight(self) -> int:
        """Known without torch, because plans and reports ask for it as well."""
        return _BYTES[self.master_weights]

    @property
    def bytes_per_product(self) -> int:
        """The bytes of a value of the result of a matrix product."""
        return _BYTES[self.computed]

    @property
    def weights_dtype(self) -> torch.dtype:
        import torch

        dtype: torch.dtype = getattr(torch, self.master_weights)
        return dtype

    @property
    def products_dtype(self) -> torch.dtype:
        import torch

        dtype: torch.dtype = getattr(torch, self.computed)
        return dtype

    def autocast(self, device: str) -> AbstractContextManager[Any]:
        """The context in which the forward pass runs."""
        if self.computed == self.master_weights:
            return nullcontext()
        import torch

        return torch.autocast(torch.device(device).type, dtype=self.products_dtype)

    def scaler(self, device: str) -> torch.amp.GradScaler | None:  # noqa: ARG002  a subclass needs it
        return None


class Float32(_Precision):
    """Everything in float32."""

    kind: Literal["fp32"] = "fp32"


class BFloat16Autocast(_Precision):
    """Products in bfloat16. It has the range of float32, so nothing is scaled (Kalamkar et al. 2019, §3)."""

    kind: Literal["bf16-autocast"] = "bf16-autocast"
    computed: ClassVar[str] = "bfloat16"


class Float16Autocast(_Precision):
    """Products in float16 without scaling, for comparison: values below 6e-8 become 0."""

    kind: Literal["fp16-autocast"] = "fp16-autocast"
    computed: ClassVar[str] = "float16"


class Float16Scaled(_Precision):
    """Products in float16 with a scaled loss; gradients are unscaled before they are clipped.

    An update whose gradients are not finite is skipped, and the scale is halved. After `growth_interval`
    updates without a skip it is doubled (Micikevicius et al. 2018, §3.2).
    """

    kind: Literal["fp16-scaled"] = "fp16-scaled"
    computed: ClassVar[str] = "float16"
    initial_scale: float = Field(default=65536.0, gt=0.0, allow_inf_nan=False)
    """The factor on the loss at the beginning."""

    growth_interval: int = Field(default=2000, gt=0)
    """The number of updates without an overflow after which the factor is doubled."""

    def scaler(self, device: str) -> torch.amp.GradScaler:
        import torch

        return torch.amp.GradScaler(
            torch.device(device).type, init_scale=self.initial_scale, growth_interval=self.growth_interval
        )


class BFloat16(_Precision):
    """Everything in bfloat16, including the weights: a step smaller than 1/256 of a weight is lost."""

    kind: Literal["bf16"] = "bf16"
    computed: ClassVar[str] = "bfloat16"
    master_weights: ClassVar[str] = "bfloat16"


def _spelt_out(name: Any) -> Any:
    return {"kind": name} if isinstance(name, str) else name


class _OrName:
    """Adds the names of the precisions to the JSON schema of their configs."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        configs = handler(schema)
        names = sorted(configs["discriminator"]["mapping"])
        return {"anyOf": [{"type": "string", "enum": names}, configs]}


Precision = Float32 | BFloat16Autocast | Float16Autocast | Float16Scaled | BFloat16
PrecisionConfig = Annotated[
    Annotated[Precision, Field(discriminator="kind")], BeforeValidator(_spelt_out), _OrName()
]
"""The type of a config's field: a plain name means this precision with its defaults."""

"""How weights are drawn. Embeddings and tables of positions always have a standard deviation of their own."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from harness.models.config.base import Frozen, PositiveFloat


class _Init(Frozen):
    """How parameters get their first values."""

    embedding_std: PositiveFloat | None = None
    """Replaces the model's init_std for the vectors of tokens."""

    residual: Literal["depth", "one"] = "depth"
    """depth divides projections into the residual stream by the root of their number in the stack, so that
    its variance does not grow with depth (Radford et al. 2019, §2.3). one does not.
    """

    def std(self, *, fan_in: int, fan_out: int, init_std: float) -> float:  # noqa: ARG002
        """The standard deviation of a matrix (fan_out, fan_in)."""
        return init_std


class NormalInit(_Init):
    """A normal distribution with the standard deviation init_std."""

    kind: Literal["normal"] = "normal"


class TruncatedNormalInit(_Init):
    """A normal distribution with the standard deviation init_std, cut off at ± cut standard deviations."""

    kind: Literal["truncated-normal"] = "truncated-normal"
    cut: PositiveFloat = 2.0
    """The number of standard deviations at which the distribution is cut off."""


class XavierInit(_Init):
    """Variance 2 / (fan in + fan out) (Glorot & Bengio 2010, §4.2)."""

    kind: Literal["xavier"] = "xavier"
    distribution: Literal["normal", "uniform"] = "normal"
    """The distribution from which the values are drawn."""

    def std(self, *, fan_in: int, fan_out: int, init_std: float) -> float:  # noqa: ARG002
        return math.sqrt(2 / (fan_in + fan_out))


class SquaredXavierInit(_Init):
    """Standard deviation 2 / (fan in + fan out) (source 003, Initialization)."""

    kind: Literal["squared-xavier"] = "squared-xavier"

    def std(self, *, fan_in: int, fan_out: int, init_std: float) -> float:  # noqa: ARG002
        return 2 / (fan_in + fan_out)


class KaimingInit(_Init):
    """Variance 2 / fan in (He et al. 2015, §2.2)."""

    kind: Literal["kaiming"] = "kaiming"
    distribution: Literal["normal", "uniform"] = "normal"
    """The distribution from which the values are drawn."""

    def std(self, *, fan_in: int, fan_out: int, init_std: float) -> float:  # noqa: ARG002
        return math.sqrt(2 / fan_in)


class LeCunInit(_Init):
    """Variance 1 / fan in (LeCun et al. 1998, §4.6)."""

    kind: Literal["lecun"] = "lecun"
    distribution: Literal["normal", "uniform"] = "normal"
    """The distribution from which the values are drawn."""

    def std(self, *, fan_in: int, fan_out: int, init_std: float) -> float:  # noqa: ARG002
        return math.sqrt(1 / fan_in)


Init = Annotated[
    NormalInit | TruncatedNormalInit | XavierInit | SquaredXavierInit | KaimingInit | LeCunInit,
    Field(discriminator="kind"),
]

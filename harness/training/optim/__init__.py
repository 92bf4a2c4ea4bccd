"""Optimizers: a union of configs, each with its `build`, distinguished by `kind`. Importing it needs no
torch.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from pydantic import Field

from harness.open_union import OpenTo, kind_of
from harness.plugins import Registry
from harness.training.optim.base import OptimizerSettings, evaluated, parameter_groups, trained_in
from harness.training.optim.first_order import (
    SGD,
    Adam,
    AdamW,
    Adan,
    Lion,
    LionTrustRatio,
    RAdam,
    ScheduleFreeAdamW,
)
from harness.training.optim.matrix import SOAP, Muon, Shampoo

_SHIPPED: tuple[type[OptimizerSettings], ...] = (
    SGD,
    Adam,
    AdamW,
    RAdam,
    Adan,
    Lion,
    LionTrustRatio,
    Muon,
    Shampoo,
    SOAP,
    ScheduleFreeAdamW,
)


def _named(_: str, value: Any) -> tuple[str, type[OptimizerSettings]] | None:
    if not isinstance(value, type) or not issubclass(value, OptimizerSettings) or inspect.isabstract(value):
        return None
    return kind_of(value), value


OPTIMIZERS: Registry[type[OptimizerSettings]] = Registry(
    "optimizers",
    {kind_of(settings): settings for settings in _SHIPPED},
    "a subclass of OptimizerSettings with a kind",
    _named,
)

OptimizerConfig = Annotated[
    SGD | Adam | AdamW | RAdam | Adan | Lion | LionTrustRatio | Muon | Shampoo | SOAP | ScheduleFreeAdamW,
    Field(discriminator="kind"),
    OpenTo(OPTIMIZERS),
]

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "SOAP",
    "Adam",
    "AdamW",
    "Adan",
    "Lion",
    "LionTrustRatio",
    "Muon",
    "OptimizerConfig",
    "OptimizerSettings",
    "RAdam",
    "ScheduleFreeAdamW",
    "Shampoo",
    "evaluated",
    "parameter_groups",
    "trained_in",
]

"""Optimizers: a union of configs, each with its `build`, distinguished by `kind`. Importing it needs no
torch.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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

OptimizerConfig = Annotated[
    SGD | Adam | AdamW | RAdam | Adan | Lion | LionTrustRatio | Muon | Shampoo | SOAP | ScheduleFreeAdamW,
    Field(discriminator="kind"),
]

__all__ = [
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

"""Optimizers that treat every value of a parameter in the same way: SGD, Adam and its successors, Lion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harness.config import FROM_LIST
from harness.training.optim.base import OptimizerSettings, library_optimizer, parameter_groups

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Beta = Annotated[float, Field(ge=0.0, lt=1.0)]
Betas = Annotated[tuple[Beta, Beta], FROM_LIST]
Epsilon = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class SGD(OptimizerSettings):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013, §2); decay is added to the
    gradient.
    """

    by_value: ClassVar[bool] = True

    kind: Literal["sgd"] = "sgd"
    momentum: Beta = 0.9
    """The share of the last step that goes into the next one."""

    nesterov: bool = False
    """Whether the gradient is taken after the step of the momentum."""

    def build(self, model: nn.Module) -> Optimizer:
        from torch import optim

        return optim.SGD(
            parameter_groups(model, self.weight_decay),
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            fused=True,
        )


class Adam(OptimizerSettings):
    """Adam (Kingma & Ba 2015, algorithm 1); decay is added to the gradient."""

    by_value: ClassVar[bool] = True

    kind: Literal["adam"] = "adam"
    betas: Betas = (0.9, 0.95)
    """The decay rates of the averages of the gradient and of its square."""

    eps: Epsilon = 1e-8
    """A small number that is added to the denominator of a step."""

    def build(self, model: nn.Module) -> Optimizer:
        from torch.optim import Adam as Torch

        return Torch(
            parameter_groups(model, self.weight_decay), lr=self.lr, betas=self.betas, eps=self.eps, fused=True
        )


class AdamSettings(OptimizerSettings):
    """The settings of Adam and its successors with decoupled decay."""

    betas: Betas = (0.9, 0.95)
    """The decay rates of the averages of the gradient and of its square."""

    eps: Epsilon = 1e-8
    """A small number that is added to the denominator of a step."""

    weight_decay: float = Field(default=0.1, ge=0.0, allow_inf_nan=False)
    """The weight decay of matrices. Norms, biases and embeddings never decay."""


class AdamW(AdamSettings):
    """AdamW (Loshchilov & Hutter 2019, algorithm 2)."""

    by_value: ClassVar[bool] = True

    kind: Literal["adamw"] = "adamw"
    implementation: Literal["fused", "foreach", "for-loop"] = "fused"
    """The implementation of torch that computes the step."""

    def build(self, model: nn.Module) -> Optimizer:
        from torch.optim import AdamW as Torch

        return Torch(
            parameter_groups(model, self.weight_decay),
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            fused=self.implementation == "fused",
            foreach=self.implementation == "foreach",
        )


class RAdam(AdamSettings):
    """RAdam (Liu et al. 2020, algorithm 2) with decoupled decay."""

    by_value: ClassVar[bool] = True

    kind: Literal["radam"] = "radam"

    def build(self, model: nn.Module) -> Optimizer:
        from torch.optim import RAdam as Torch

        return Torch(
            parameter_groups(model, self.weight_decay),
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            decoupled_weight_decay=True,
        )


class Adan(OptimizerSettings):
    """Adan (Xie et al. 2022, algorithm 1) with decoupled decay."""

    from_library: ClassVar[bool] = True

    kind: Literal["adan"] = "adan"
    betas: Annotated[tuple[Beta, Beta, Beta], FROM_LIST] = (0.98, 0.92, 0.99)
    """The decay rates of the averages of the gradient, of its change, and of the square of both."""

    eps: Epsilon = 1e-8
    """A small number that is added to the denominator of a step."""

    weight_decay: float = Field(default=0.02, ge=0.0, allow_inf_nan=False)
    """The weight decay of matrices. Norms, biases and embeddings never decay."""

    def build(self, model: nn.Module) -> Optimizer:
        return library_optimizer(
            "Adan",
            parameter_groups(model, self.weight_decay),
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decouple=True,
        )


class Lion(OptimizerSettings):
    """Lion (Chen et al. 2023, algorithm 2)."""

    from_library: ClassVar[bool] = True

    kind: Literal["lion"] = "lion"
    betas: Betas = (0.9, 0.99)
    """The decay rate inside the sign of a step, and that of the average of the gradient."""

    weight_decay: float = Field(default=0.1, ge=0.0, allow_inf_nan=False)
    """The weight decay of matrices. Norms, biases and embeddings never decay."""

    def build(self, model: nn.Module) -> Optimizer:
        return library_optimizer(
            "Lion",
            parameter_groups(model, self.weight_decay),
            lr=self.lr,
            betas=self.betas,
            weight_decouple=True,
        )


class LionTrustRatio(OptimizerSettings):
    """Lion, with the step of each tensor scaled by the root mean square of its values (at least `least_rms`).

    The ratio is that of LAMB (You et al. 2020, §3), its lower bound that of Adafactor (Shazeer & Stern 2018,
    §8).
    """

    kind: Literal["lion-trust-ratio"] = "lion-trust-ratio"
    betas: Betas = (0.9, 0.99)
    """The decay rate inside the sign of a step, and that of the average of the gradient."""

    least_rms: float = Field(default=1e-3, gt=0.0, allow_inf_nan=False)
    """The smallest root mean square with which the step of a tensor is scaled."""

    weight_decay: float = Field(default=0.1, ge=0.0, allow_inf_nan=False)
    """The weight decay of matrices. Norms, biases and embeddings never decay."""

    def build(self, model: nn.Module) -> Optimizer:
        from harness.training.optim.implementations import LionTrustRatioOptimizer

        return LionTrustRatioOptimizer(
            parameter_groups(model, self.weight_decay), lr=self.lr, betas=self.betas, least_rms=self.least_rms
        )


class ScheduleFreeAdamW(AdamSettings):
    """Schedule-free AdamW (Defazio et al. 2024, algorithm 1): averages replace a falling learning rate."""

    from_library: ClassVar[bool] = True
    needs_constant_schedule: ClassVar[bool] = True

    kind: Literal["schedule-free-adamw"] = "schedule-free-adamw"

    def build(self, model: nn.Module) -> Optimizer:
        return library_optimizer(
            "ScheduleFreeAdamW",
            parameter_groups(model, self.weight_decay),
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
        )

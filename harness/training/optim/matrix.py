"""Optimizers for matrices: Muon, Shampoo, SOAP. AdamW trains the embeddings, norms and biases."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from harness.errors import InputError
from harness.training.optim.base import OptimizerSettings, library_optimizer, parameters_of
from harness.training.optim.first_order import Beta, Betas, Epsilon

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


RMSPROP_GRAFTING = 3  # the number that pytorch-optimizer gives to it


class MatrixOptimizer(OptimizerSettings):
    """AdamW trains the parameters that are not matrices, with the learning rate `others_lr` (by default `lr`)
    and without decay.
    """

    weight_decay: float = Field(default=0.1, ge=0.0, allow_inf_nan=False)
    others_lr: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    """The learning rate of AdamW for embeddings, norms and biases. Default: `lr`."""

    others_betas: Betas = (0.9, 0.95)
    """The decay rates of AdamW for embeddings, norms and biases."""

    def scaled(self, factor: float) -> Self:
        others = None if self.others_lr is None else self.others_lr * factor
        return super().scaled(factor).model_copy(update={"others_lr": others})

    def _with_adamw(self, model: nn.Module, build: Callable[[list[nn.Parameter]], Optimizer]) -> Optimizer:
        from torch.optim import AdamW

        from harness.training.optim.implementations import CombinedOptimizer

        parameters = parameters_of(model)
        if not parameters.matrices:
            raise InputError(
                f"optimizer {self.kind} is for matrices, but this model has no matrices",
                hint="use another optimizer, for example adamw",
            )
        matrices = build(parameters.matrices)
        if not parameters.others:
            return matrices
        rate = self.lr if self.others_lr is None else self.others_lr
        others = AdamW(parameters.others, lr=rate, betas=self.others_betas, weight_decay=0.0, fused=True)
        return CombinedOptimizer([matrices, others])


class Muon(MatrixOptimizer):
    """Muon (Jordan et al. 2024), with steps as long as those of AdamW (Liu et al. 2025, §2.2).

    So both can use the same learning rate.
    """

    kind: Literal["muon"] = "muon"
    momentum: Beta = 0.95
    """The share of the average of the gradient that remains at each update."""

    nesterov: bool = True
    """Whether the newest gradient enters the step once more."""

    iterations: int = Field(default=5, gt=0)
    """The number of iterations that make a step orthogonal."""

    def build(self, model: nn.Module) -> Optimizer:
        from torch.optim import Muon as Torch

        return self._with_adamw(
            model,
            lambda matrices: Torch(
                matrices,
                lr=self.lr,
                weight_decay=self.weight_decay,
                momentum=self.momentum,
                nesterov=self.nesterov,
                ns_steps=self.iterations,
                adjust_lr_fn="match_rms_adamw",
            ),
        )


class Shampoo(MatrixOptimizer):
    """Shampoo (Gupta et al. 2018, algorithm 1) in blocks, with steps as long as those of RMSProp.

    `every` is the number of updates between two computations of the inverse roots (Anil et al. 2020, §4).
    """

    from_library: ClassVar[bool] = True
    decomposes_matrices: ClassVar[bool] = True

    kind: Literal["shampoo"] = "shampoo"
    betas: Betas = (0.9, 0.95)
    """The decay rates of the average of the gradient, and of the preconditioner."""

    start: int = Field(default=10, gt=0)
    """The number of updates before the preconditioner is used."""

    every: int = Field(default=10, gt=0)
    """The number of updates between two computations of the preconditioner."""

    block: int = Field(default=256, gt=0)
    """The largest side of the blocks into which matrices are divided."""

    eps: Epsilon = 1e-6
    """A small number that is added to the denominator of a step."""

    def build(self, model: nn.Module) -> Optimizer:
        return self._with_adamw(
            model,
            lambda matrices: library_optimizer(
                "ScalableShampoo",
                matrices,
                lr=self.lr,
                betas=self.betas,
                weight_decay=self.weight_decay,
                decoupled_weight_decay=True,
                decoupled_learning_rate=False,
                moving_average_for_momentum=True,
                nesterov=False,
                start_preconditioning_step=self.start,
                preconditioning_compute_steps=self.every,
                block_size=self.block,
                graft_type=RMSPROP_GRAFTING,
                matrix_eps=self.eps,
            ),
        )


class SOAP(MatrixOptimizer):
    """SOAP (Vyas et al. 2024, algorithm 3): Adam in the eigenbasis of Shampoo's preconditioner.

    The basis is computed again every `every` updates.
    """

    from_library: ClassVar[bool] = True
    decomposes_matrices: ClassVar[bool] = True

    kind: Literal["soap"] = "soap"
    betas: Betas = (0.95, 0.95)
    """The decay rates of the averages of the gradient and of its square."""

    every: int = Field(default=10, gt=0)
    """The number of updates between two computations of the eigenbasis."""

    largest: int = Field(default=1024, gt=0)
    """The largest side of a matrix that gets a basis."""

    eps: Epsilon = 1e-8
    """A small number that is added to the denominator of a step."""

    def build(self, model: nn.Module) -> Optimizer:
        return self._with_adamw(
            model,
            lambda matrices: library_optimizer(
                "SOAP",
                matrices,
                lr=self.lr,
                betas=self.betas,
                weight_decay=self.weight_decay,
                precondition_frequency=self.every,
                max_precondition_dim=self.largest,
                eps=self.eps,
            ),
        )

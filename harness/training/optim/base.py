"""The base of the configs of all optimizers, and the choice of the parameters that decay."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from harness.config import Config
from harness.errors import InputError

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class OptimizerSettings(Config, ABC):
    """`lr` is the peak learning rate. `weight_decay` applies to matrices only: never to norms, biases or
    embeddings.
    """

    from_library: ClassVar[bool] = False
    """Whether the optimizer comes from pytorch-optimizer, the package of the extra `optimizers`."""

    needs_constant_schedule: ClassVar[bool] = False
    """Whether only a constant learning rate is allowed after the warm-up."""

    decomposes_matrices: ClassVar[bool] = False
    """Whether the optimizer decomposes matrices, which torch cannot do in bfloat16."""

    by_value: ClassVar[bool] = False
    """Whether a step changes every value of a parameter by itself, so that parts of it can be stepped."""

    kind: str
    """The name that chooses this optimizer."""

    lr: float = Field(gt=0.0, allow_inf_nan=False)
    """The peak learning rate."""

    weight_decay: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """The weight decay of matrices. Norms, biases and embeddings never decay."""

    def scaled(self, factor: float) -> Self:
        """The same optimizer with every learning rate multiplied by `factor`."""
        return self.model_copy(update={"lr": self.lr * factor})

    def check_installed(self) -> None:
        """Raises InputError if the package of the optimizer is not installed. Loads nothing."""
        if self.from_library and importlib.util.find_spec("pytorch_optimizer") is None:
            raise InputError(
                f"optimizer {self.kind} is from pytorch-optimizer, which is not installed",
                hint="pip install 'transformer-harness[optimizers]'",
            )

    @abstractmethod
    def build(self, model: nn.Module) -> Optimizer:
        """One optimizer over all trained parameters of `model`; a tied parameter counts once.

        Raises InputError if the model has no parameters of the kind that the optimizer is for.
        """


@dataclass(frozen=True, slots=True)
class Parameters:
    """The trained parameters of a model: weights of linear layers, and embeddings, norms and biases."""

    matrices: list[nn.Parameter]
    others: list[nn.Parameter]


def parameters_of(model: nn.Module) -> Parameters:
    """The trained parameters, each of them once. A tied output projection is an embedding."""
    from torch import nn

    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [p for p in trained if p.ndim >= 2 and id(p) not in embeddings]
    chosen = {id(parameter) for parameter in matrices}
    return Parameters(matrices, [parameter for parameter in trained if id(parameter) not in chosen])


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The matrices, which decay, and then the other parameters, which do not.

    Raises InputError if there is weight decay but the model has no matrices.
    """
    parameters = parameters_of(model)
    if weight_decay and not parameters.matrices:
        raise InputError(
            f"weight_decay {weight_decay:g} applies to matrices, but this model has no matrices",
            hint="set weight_decay: 0",
        )
    groups = (
        {"params": parameters.matrices, "weight_decay": weight_decay},
        {"params": parameters.others, "weight_decay": 0.0},
    )
    return [group for group in groups if group["params"]]


def library_optimizer(name: str, parameters: Sequence[Any], **settings: Any) -> Optimizer:
    """The optimizer of that name from pytorch-optimizer. Call `check_installed` first."""
    import pytorch_optimizer

    built: Optimizer = getattr(pytorch_optimizer, name)(parameters, **settings)
    return built


@contextmanager
def evaluated(optimizer: Optimizer) -> Iterator[None]:
    """In this context the model has the weights to evaluate.

    Schedule-free optimizers train other weights (Defazio et al. 2024, §2).
    """
    _switch(optimizer, "eval")
    try:
        yield
    finally:
        _switch(optimizer, "train")


def trained_in(optimizer: Optimizer) -> None:
    """Give the model the weights to train."""
    _switch(optimizer, "train")


def _switch(optimizer: Optimizer, mode: str) -> None:
    switch = getattr(optimizer, mode, None)
    if switch is not None:
        switch()

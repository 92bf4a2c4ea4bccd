"""The exact peak memory of a training step, by category, counted in the same way on a CPU and an accelerator.

The category of a storage depends on where it is created: in the forward pass of a module (also when
activation checkpointing repeats it), in the backward pass, or in a step of the optimizer. A gradient is
recognised when autograd assigns it to a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import Optimizer

from harness.telemetry.tensor_memory import TensorPeak

Category = Literal["parameter", "gradient", "optimizer", "activation", "other"]
CATEGORIES: tuple[Category, ...] = get_args(Category)


class MemoryByCategory(TensorPeak):  # type: ignore[no-untyped-call]
    """Context manager for updates of `model` by `optimizer`, whose state must be created inside it.

    `live` holds the bytes that are alive in each category, and `at_peak` those at the highest total since
    `start_peak`. Memory that compiled code allocates for itself is not seen.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self.live: dict[Category, int] = dict.fromkeys(CATEGORIES, 0)
        self.at_peak = dict(self.live)
        self._category_of: dict[int, Category] = {}
        self._peaks = 0
        self._peaks_before: dict[int, int] = {}  # storage → the number of peaks before its creation
        self._born_as: Category | None = "parameter"
        self._depth = 0
        self._model, self._optimizer = model, optimizer
        self._hooks = ExitStack()
        super().__init__(held=model.parameters())
        self._born_as = None
        self.at_peak = dict(self.live)

    def start_peak(self) -> None:
        """Discard the peak so far and start a new one from the storages that are alive now."""
        self._new_peak()

    def __enter__(self) -> Self:
        for handle in self._registered():
            self._hooks.callback(handle.remove)
        return super().__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hooks.close()
        super().__exit__(exc_type, exc_value, traceback)

    def _registered(self) -> Iterator[Any]:
        yield register_module_forward_pre_hook(self._enter_module)
        yield register_module_forward_hook(self._leave_module, always_call=True)
        yield self._optimizer.register_step_pre_hook(self._enter_step)
        yield self._optimizer.register_step_post_hook(self._leave_step)
        for parameter in self._model.parameters():
            if parameter.requires_grad:
                hook = self._gradient_is_there
                yield parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def _enter_module(self, *_: Any) -> None:
        self._depth += 1

    def _leave_module(self, *_: Any) -> None:
        self._depth -= 1

    def _enter_step(self, *_: Any) -> None:
        self._born_as = "optimizer"

    def _leave_step(self, *_: Any) -> None:
        self._born_as = None

    def _gradient_is_there(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        key = parameter.grad.untyped_storage()._cdata
        born_as = self._category_of.get(key)
        if born_as is not None and born_as != "gradient":
            self._category_of[key] = "gradient"
            figures = [self.live]
            if self._peaks > self._peaks_before[key]:
                figures.append(self.at_peak)  # it existed at the peak, in its first category
            for figure in figures:
                figure[born_as] -= self._counted[key]
                figure["gradient"] += self._counted[key]

    def _changed(self, key: int, by: int) -> None:
        if key not in self._category_of:
            self._category_of[key] = self._category()
            self._peaks_before[key] = self._peaks
        self.live[self._category_of[key]] += by
        super()._changed(key, by)

    def _category(self) -> Category:
        if self._born_as is not None:
            return self._born_as
        in_backward = torch._C._current_graph_task_id() != -1
        return "other" if in_backward and not self._depth else "activation"

    def _died(self, key: int, reference: Any) -> None:
        super()._died(key, reference)
        self._category_of.pop(key, None)
        self._peaks_before.pop(key, None)

    def _new_peak(self) -> None:
        super()._new_peak()
        self._peaks += 1
        self.at_peak = dict(self.live)

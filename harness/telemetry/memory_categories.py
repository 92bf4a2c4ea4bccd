"""The exact peak memory of a training step and of each category in it, counted in the same way on a CPU and
an accelerator.

Each category has a peak of its own: activations are most at the end of the forward pass, the optimizer's
tensors in its step. A category at the peak of the total would say in which phase that peak was, and two arms
whose peaks are in different phases could not be compared.

The category of a storage depends on where it is created: in the forward pass of a module (also when
activation checkpointing repeats it), in the backward pass, or in a step of the optimizer. A gradient is
recognised when autograd assigns it to a parameter, and then counts as a gradient from its creation.
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

    `live` holds the bytes that are alive in each category. Memory that compiled code allocates for itself is
    not seen.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self.live: dict[Category, int] = dict.fromkeys(CATEGORIES, 0)
        self._number_of: dict[int, int] = {}  # storage → its number, because a later storage may have its key
        self._categories: list[Category] = []  # by number
        self._changes: list[tuple[int, int]] = []  # number and bytes, in the order of time
        self._peak_from = 0
        self._born_as: Category | None = "parameter"
        self._depth = 0
        self._model, self._optimizer = model, optimizer
        self._hooks = ExitStack()
        super().__init__(held=model.parameters())
        self._born_as = None
        self.start_peak()

    def start_peak(self) -> None:
        """Discard the peaks so far and start new ones from the storages that are alive now."""
        self._new_peak()
        self._peak_from = len(self._changes)

    def peaks(self) -> dict[Category, int]:
        """The most bytes of each category that were alive at once since `start_peak`.

        They are computed from all changes, because the category of a gradient is known only after its
        creation. Their sum may be larger than the peak of the total.
        """
        live = dict.fromkeys(CATEGORIES, 0)
        for number, by in self._changes[: self._peak_from]:
            live[self._categories[number]] += by
        most = dict(live)
        for number, by in self._changes[self._peak_from :]:
            category = self._categories[number]
            live[category] += by
            most[category] = max(most[category], live[category])
        return most

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
        number = self._number_of.get(key)
        if number is not None and self._categories[number] != "gradient":
            self.live[self._categories[number]] -= self._counted[key]
            self.live["gradient"] += self._counted[key]
            self._categories[number] = "gradient"

    def _changed(self, key: int, by: int) -> None:
        if key not in self._number_of:
            self._number_of[key] = len(self._categories)
            self._categories.append(self._category())
        number = self._number_of[key]
        self.live[self._categories[number]] += by
        self._changes.append((number, by))
        super()._changed(key, by)

    def _category(self) -> Category:
        if self._born_as is not None:
            return self._born_as
        in_backward = torch._C._current_graph_task_id() != -1
        return "other" if in_backward and not self._depth else "activation"

    def _died(self, key: int, reference: Any) -> None:
        super()._died(key, reference)
        self._number_of.pop(key, None)

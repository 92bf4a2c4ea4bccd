"""The exact peak bytes of tensors in a region of code, counted by their storages.

Every operation that reaches the dispatcher shows its results. A new storage counts until it is freed, which
its weak reference reports. A view or a result in place adds nothing, and a storage that grows adds its
growth. The workspace that a kernel allocates and frees within one operation is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class TensorPeak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context manager that tracks `live_bytes` and `peak_bytes` of the tensors that are created inside it.

    The tensors in `held` (parameters, optimizer state …) count from the start until they are freed; other
    tensors from before do not count. Bytes are those of storages on any device, before the allocator rounds
    them. Sparse tensors count by their dense parts. Backward passes on the CPU and nested modes are seen, but
    other threads are not.
    """

    def __init__(self, *, held: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live_bytes = 0
        self._counted: dict[int, int] = {}  # storage → its bytes in live_bytes; of an older one, its growth
        self._size_before: dict[int, int] = {}
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        for tensor in held:
            self._see(tensor, from_before=False)
        self.peak_bytes = self.live_bytes

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch not to import its compiler at the first operation, which takes two seconds."""
        return False

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exc_type, exc_value, traceback)  # type: ignore[no-untyped-call]
        self._alive.clear()  # storages that are freed after the region change nothing

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        _types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        inputs = list(_tensors((args, kwargs or {})))
        made_from_data = func is torch.ops.aten.lift_fresh.default  # the operation inside torch.tensor(…)
        for tensor in inputs:
            self._see(tensor, from_before=not made_from_data)
        result = func(*args, **(kwargs or {}))
        for tensor in inputs:  # `out=` or a resize may have grown an input
            self._see(tensor, from_before=True)
        for tensor in _tensors(result):
            self._see(tensor, from_before=False)
        if self.live_bytes > self.peak_bytes:
            self._new_peak()
        return result

    def _new_peak(self) -> None:
        self.peak_bytes = self.live_bytes

    def _see(self, tensor: torch.Tensor, *, from_before: bool) -> None:
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = weakref.ref(storage, partial(self._died, key))
            self._size_before[key] = storage.nbytes() if from_before else 0
            self._counted[key] = 0
        bytes_now = storage.nbytes() - self._size_before[key]
        if bytes_now != self._counted[key]:
            self._changed(key, bytes_now - self._counted[key])
            self._counted[key] = bytes_now

    def _changed(self, _key: int, by: int) -> None:
        """A storage was created, grew or was freed."""
        self.live_bytes += by

    def _died(self, key: int, _reference: weakref.ref[torch.UntypedStorage]) -> None:
        del self._alive[key], self._size_before[key]
        self._changed(key, -self._counted.pop(key))


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)

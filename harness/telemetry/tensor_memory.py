"""Exact peak bytes of tensors in a region of code, counted by their storages. The one file of the room that
imports torch.

Every operation that reaches the dispatcher shows its results; a storage not seen before counts from then
until it dies (its weak reference says when), a view or an in-place result adds nothing, a storage that grows
adds its growth. Not seen: the workspace that a kernel takes and frees within one operation.
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
    """Context manager that tracks `live_bytes` and `peak_bytes` of the tensors made inside it.

    `held` (parameters, optimizer state …) counts from the start, and until it dies; other tensors from before
    are left out. Bytes are those of storages, on any device, before the allocator rounds them. Sparse tensors
    count by the dense parts that they are made of. Backward passes on the CPU and nested modes are seen;
    other threads are not.
    """

    def __init__(self, *, held: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live_bytes = 0
        self._counted: dict[
            int, int
        ] = {}  # storage → its bytes in live_bytes; from before the region: its growth
        self._size_before: dict[int, int] = {}
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        for tensor in held:
            self._see(tensor, from_before=False)
        self.start_bytes = self.live_bytes
        self.peak_bytes = self.live_bytes

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No wrapping for the compiler: it would be imported at the first operation, two seconds in every
        process.
        """
        return False

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exc_type, exc_value, traceback)  # type: ignore[no-untyped-call]
        self._alive.clear()  # what dies after the region changes nothing

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        _types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        inputs = list(_tensors((args, kwargs or {})))
        made_from_data = func is torch.ops.aten.lift_fresh.default  # what torch.tensor(…) shows of itself
        for tensor in inputs:
            self._see(tensor, from_before=not made_from_data)
        result = func(*args, **(kwargs or {}))
        for tensor in inputs:  # an `out=` or a resize grows what was there
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
        """A storage was born, grew or died."""
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

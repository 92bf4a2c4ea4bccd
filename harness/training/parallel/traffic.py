"""The bytes that ranks send to each other, counted from torch's collectives as they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Share = Callable[[int, int, int], float]
"""What a rank sends, given the bytes of the first and of the second tensors of a call and the ranks."""


def _all_reduce(first: int, _: int, ranks: int) -> float:
    return 2 * (ranks - 1) * first / ranks


def _gather(first: int, _: int, ranks: int) -> float:
    """The first tensor is this rank's part."""
    return float((ranks - 1) * first)


def _gather_into(_: int, second: int, ranks: int) -> float:
    """The second tensor is this rank's part."""
    return float((ranks - 1) * second)


def _scatter(first: int, _: int, ranks: int) -> float:
    """The first tensor has the parts for all ranks."""
    return (ranks - 1) * first / ranks


def _scatter_into(_: int, second: int, ranks: int) -> float:
    """The second tensor has the parts for all ranks."""
    return (ranks - 1) * second / ranks


def _send(first: int, _: int, __: int) -> float:
    return float(first)


def _nothing(_: int, __: int, ___: int) -> float:
    return 0.0


SHARES: Mapping[str, Share] = MappingProxyType(
    {
        "c10d.allreduce_": _all_reduce,
        "c10d.allgather_": _gather_into,
        "c10d._allgather_base_": _gather_into,
        "c10d._reduce_scatter_base_": _scatter_into,
        "c10d.broadcast_": _scatter,
        "c10d.send": _send,
        "c10d.recv_": _nothing,
        "c10d.barrier": _nothing,
        "_c10d_functional.all_reduce": _all_reduce,
        "_c10d_functional.all_reduce_": _all_reduce,
        "_c10d_functional.all_gather_into_tensor": _gather,
        "_c10d_functional.reduce_scatter_tensor": _scatter,
        "_c10d_functional.wait_tensor": _nothing,
        "_c10d_functional._wrap_tensor_autograd": _nothing,
    }
)
"""By the ring algorithms, in which every rank sends the same: a sum over all ranks takes two rounds of the
ring (Patarasuk & Yuan 2009, §3), and collecting parts or summing into parts takes one.
"""


class Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context manager. `sent` are the bytes that this rank sent in it.

    Raises RuntimeError at a collective for which there is no rule, so that nothing is left out.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sent = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # DTensor runs its own communication, which then comes here
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "_overloadpacket", None)
        if getattr(func, "namespace", "") in ("c10d", "_c10d_functional"):
            self._count(str(name), args)
        return result

    def _count(self, name: str, args: tuple[Any, ...]) -> None:
        if name not in SHARES:
            raise RuntimeError(f"the bytes of the collective {name} are not counted")
        first, second = (_bytes(argument) for argument in (*args, None, None)[:2])
        self.sent += SHARES[name](first, second, distributed.get_world_size())


def _bytes(argument: Any) -> int:
    tensors = (leaf for leaf in tree_leaves(argument) if isinstance(leaf, Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def over_ranks(value: float, device: torch.device, *, largest: bool = False) -> float:
    """The sum of the values of all ranks, or the largest of them. One process has only its own value."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    collected = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(collected, op=distributed.ReduceOp.MAX if largest else distributed.ReduceOp.SUM)
    return float(collected)

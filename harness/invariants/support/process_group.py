"""Fresh processes that are the ranks of a process group over gloo, for checks of several ranks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, distributed

from harness.invariants.support.subprocesses import in_processes


def in_process_group(ranks: int, function: Callable[..., None], *arguments: Any) -> list[int]:
    """Call a module's function with the same arguments on every rank; returns the exit codes of the ranks
    (see `in_processes`).
    """
    with TemporaryDirectory() as folder:
        calls = [(rank, ranks, f"{folder}/rendezvous", function, arguments) for rank in range(ranks)]
        return in_processes(_as_rank, calls)


def saved_by_ranks(file: Path, ended: Sequence[int]) -> dict[str, Tensor]:
    """The tensors that a rank saved in a file. Raises RuntimeError if a rank did not end with 0."""
    if any(ended):
        raise RuntimeError(f"ranks ended with {list(ended)}")
    saved: dict[str, Tensor] = torch.load(file)
    return saved


def _as_rank(
    rank: int, ranks: int, rendezvous: str, function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=ranks)
    try:
        function(*arguments)
    finally:
        distributed.destroy_process_group()

"""The bytes of single collectives, by the ring algorithms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import distributed

from harness.run.ranks import RankError, in_ranks
from harness.training.parallel.traffic import Traffic, over_ranks

VALUES = 12


def counted(rank: int) -> dict[str, float]:
    part, complete = torch.ones(VALUES), torch.ones(2 * VALUES)
    calls: dict[str, Callable[[], object]] = {
        "sum": lambda: distributed.all_reduce(part),
        "gather": lambda: distributed.all_gather_into_tensor(complete, part),
        "scatter": lambda: distributed.reduce_scatter_tensor(part, complete),
        "broadcast": lambda: distributed.broadcast(part, src=0),
        "send": lambda: distributed.send(part, 1) if rank == 0 else distributed.recv(part, 0),
        "barrier": lambda: distributed.barrier(),
    }
    sent = {}
    for name, call in calls.items():
        with Traffic() as traffic:
            call()
        sent[name] = over_ranks(traffic.sent, torch.device("cpu"))
    return sent


def test_the_bytes_of_all_ranks_are_those_of_the_ring(tmp_path: Path) -> None:
    size = 4.0 * VALUES
    assert in_ranks(2, counted, tmp_path) == {
        "sum": 2 * size,
        "gather": 2 * size,
        "scatter": 2 * size,
        "broadcast": size,
        "send": size,
        "barrier": 0.0,
    }


def test_a_collective_without_a_rule_is_never_left_out(tmp_path: Path) -> None:
    def exchange(rank: int) -> None:
        given, taken = torch.ones(2), torch.ones(2)
        with Traffic():
            distributed.all_to_all_single(taken, given)

    with pytest.raises(RankError, match=r"the bytes of the collective c10d\.alltoall_base_ are not counted"):
        in_ranks(2, exchange, tmp_path)


def test_one_process_has_only_its_own_value() -> None:
    assert over_ranks(3.0, torch.device("cpu")) == 3.0

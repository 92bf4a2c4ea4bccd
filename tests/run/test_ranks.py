"""Processes of a trial that are the ranks of a process group, over gloo."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
import torch
from torch import distributed

from harness.errors import InputError
from harness.run.ranks import RankError, in_ranks
from harness.trial.causes import Cause


def total(rank: int) -> float:
    value = torch.tensor(10.0 + rank)
    distributed.all_reduce(value)
    return float(value) + rank / 10


def test_rank_0_returns_what_all_ranks_computed_together(tmp_path: Path) -> None:
    assert in_ranks(2, total, tmp_path) == 21.0


def test_the_error_of_a_rank_is_raised_and_the_others_that_wait_for_it_are_ended(tmp_path: Path) -> None:
    def fails(rank: int) -> None:
        (tmp_path / f"pid-{rank}").write_text(str(os.getpid()))
        distributed.barrier()
        if rank == 1:
            raise InputError("the corpus is too short")
        distributed.barrier()

    with pytest.raises(RankError, match=r"^rank 1: the corpus is too short$") as caught:
        in_ranks(2, fails, tmp_path)
    assert caught.value.cause == Cause.ERROR
    assert 'raise InputError("the corpus is too short")' in caught.value.trace
    pids = [int((tmp_path / f"pid-{rank}").read_text()) for rank in range(2)]
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_a_rank_that_is_killed_ends_the_trial(tmp_path: Path) -> None:
    def is_killed(rank: int) -> None:
        if rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        distributed.barrier()

    with pytest.raises(RankError, match=r"^rank 1 was killed by SIGKILL") as caught:
        in_ranks(2, is_killed, tmp_path)
    assert caught.value.cause == Cause.KILLED


def test_memory_that_runs_out_on_a_rank_is_the_cause(tmp_path: Path) -> None:
    def runs_out(rank: int) -> None:
        raise MemoryError

    with pytest.raises(RankError, match="MemoryError") as caught:
        in_ranks(2, runs_out, tmp_path)
    assert caught.value.cause == Cause.MEMORY_ERROR

"""The checks of ranks-parity."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, distributed

from harness.invariants.base import CURVES, TOLERANCES, Check, replaced
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.subprocesses import in_processes
from harness.invariants.support.tiny import (
    DTYPES,
    NO_KEY_BIAS,
    built,
    gradients,
    random_batch,
    tiny_updater,
    tolerances_for,
    training_values,
    without_dropout,
)
from harness.training import ranks
from harness.training.objective import MicroBatch, counted
from harness.training.update import Updater

UPDATES = 20
# The number of counted targets in each row of each rank: 3 and 40 in all.
COUNTS = ((1, 2, 0, 0), (12, 12, 12, 4))

NamedTensors = dict[str, Tensor]


def generic_checks(_level: str) -> Iterator[Check]:
    """Two processes train together in both precisions; each must end with the values of one rank alone."""
    with TemporaryDirectory() as folder:
        arguments = [(rank, folder) for rank in range(len(COUNTS))]
        ended = in_processes(_train_rank, arguments)
        for dtype in DTYPES:
            reference = training_values(
                _updater(dtype), [list(_batches(update)) for update in range(UPDATES)]
            )

            def observed(rank: int, dtype: torch.dtype = dtype) -> NamedTensors:
                if any(ended):
                    raise RuntimeError(f"ranks ended with {ended}")
                saved: NamedTensors = torch.load(_file(folder, rank, dtype))
                return saved

            for rank in range(len(COUNTS)):
                yield compare_named(
                    f"rank {rank} of 2: {UPDATES} updates",
                    reference=reference,
                    observed=lambda rank=rank, observed=observed: observed(rank),  # type: ignore[misc]
                    tolerances=CURVES,
                )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The sum of the gradients of two ranks, which have unequal shares of the arm's rows, against the
    gradient of all rows.
    """
    config = without_dropout(subject.config)
    batch = subject.micro_batches[0]
    first = max(1, len(batch[0]) // 3)
    parts = [tuple(array[:first] for array in batch), tuple(array[first:] for array in batch)]
    shares = [part for part in parts if len(part[0])]
    updater = subject.updater(subject.build(config))
    reference = gradients(updater, [batch])
    yield compare_named(
        f"the study's gradients from {len(shares)} ranks, one after another",
        reference=reference,
        observed=lambda: _added(subject.updater(subject.build(config)), shares, counted(batch)),
        tolerances=tolerances_for(updater, TOLERANCES),
        gradients=reference.keys() - {"loss"},
    )


def _added(updater: Updater, shares: list[MicroBatch], total: int) -> NamedTensors:
    """Each rank divides by the number of all tokens; the sum over ranks is computed here."""

    def all_tokens(tokens: int, device: torch.device) -> int:
        del tokens, device
        return total

    added: Mapping[str, list[Tensor]] = defaultdict(list)
    with replaced(ranks.tokens_of_all, all_tokens):
        for share in shares:
            for name, value in gradients(updater, [share]).items():
                added[name].append(value)
    return {name: torch.stack(values).sum(dim=0) for name, values in added.items()}


def _train_rank(rank: int, folder: str) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=len(COUNTS)
    )
    try:
        for dtype in DTYPES:
            updates = [[_batches(update)[rank]] for update in range(UPDATES)]
            torch.save(training_values(_updater(dtype), updates), _file(folder, rank, dtype))
    finally:
        distributed.destroy_process_group()


def _batches(update: int) -> tuple[MicroBatch, ...]:
    """The batch of each rank."""
    return tuple(
        random_batch(10 * update + rank, rows=4, counts=counts) for rank, counts in enumerate(COUNTS)
    )


def _updater(dtype: torch.dtype) -> Updater:
    return tiny_updater(built("decoder", NO_KEY_BIAS, dtype))


def _file(folder: str, rank: int, dtype: torch.dtype) -> Path:
    return Path(folder) / f"{rank}-{str(dtype).removeprefix('torch.')}"

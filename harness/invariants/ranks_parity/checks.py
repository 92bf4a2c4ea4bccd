"""The checks of ranks-parity."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from harness.invariants.base import CURVES, TOLERANCES, Check, patched
from harness.invariants.ranks_parity import DATA, PIPELINE, SHARD, TENSOR
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.process_group import in_process_group, saved_by_ranks
from harness.invariants.support.scales import ScaledFloat32
from harness.invariants.support.tiny import (
    DTYPES,
    NO_KEY_BIAS,
    MicroBatches,
    built,
    gradients,
    parameters,
    random_batch,
    tiny_updater,
    tolerances_for,
    training_values,
    without_dropout,
)
from harness.training.objective import MicroBatch
from harness.training.parallel.build import build_layout
from harness.training.parallel.config import Parallel
from harness.training.parallel.data import DataRanks
from harness.training.parallel.layout import Layout, Passes
from harness.training.precision import Float32, Precision
from harness.training.update import Updater

UPDATES = 20
# The number of counted targets in each row: 3 in the first half of the rows, and 40 in the second.
COUNTS = (1, 2, 0, 0, 12, 12, 12, 4)
PARALLEL: Mapping[str, Parallel] = {
    DATA: Parallel(data=2),
    SHARD: Parallel(data=2, shard="full"),
    TENSOR: Parallel(tensor=2),
    PIPELINE: Parallel(pipeline=2, micro_batches=2),
}
INFINITE = 1
"""The update in which a rank has an infinite gradient, of three."""

NamedTensors = dict[str, Tensor]


def generic_checks(level: str) -> Iterator[Check]:
    """Two processes train together in both precisions; each must end with the values of one rank alone."""
    parallel = PARALLEL[level]
    with TemporaryDirectory() as folder:
        ended = in_process_group(parallel.ranks, _train_rank, folder, parallel)
        for dtype in DTYPES:
            for case, train in _CASES.items():
                for rank in range(parallel.ranks):
                    yield compare_named(
                        f"rank {rank} of {parallel.ranks}: {case}",
                        reference=train(dtype, Layout(), parallel),
                        observed=partial(saved_by_ranks, Path(folder) / f"{rank} {case} {dtype}", ended),
                        tolerances=CURVES,
                    )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """An arm with several ranks trains in processes. On any other arm, the sum of the gradients of two ranks,
    which have unequal shares of the arm's rows, is compared with the gradient of all rows.
    """
    config = without_dropout(subject.config)
    if subject.parallel.ranks > 1:
        yield from _in_ranks(subject, config)
        return
    batch = subject.micro_batches[0]
    updater = subject.updater(subject.build(config))
    reference = gradients(updater, [batch])
    yield compare_named(
        "the study's gradients from 2 ranks, one after another",
        reference=reference,
        observed=lambda: _added(lambda layout: subject.updater(subject.build(config), layout), batch),
        tolerances=tolerances_for(updater, TOLERANCES),
        gradients=reference.keys() - {"loss"},
    )


def _in_ranks(subject: TrainingSubject, config: object) -> Iterator[Check]:
    """The losses and norms of the arm's first updates, on the CPU. Optimizers such as AdamW magnify the
    rounding errors of gradients that are 0, as those of biases of keys are, so single parameters are not
    compared.
    """
    build = partial(subject.build, config, device="cpu")
    updates, ranks = subject.updates(5), subject.parallel.ranks
    updater = subject.updater(build())
    reference = _curves(training_values(updater, updates))
    with TemporaryDirectory() as folder:
        arguments = folder, subject.parallel, build, subject.updater, updates
        ended = in_process_group(ranks, _train_subject, *arguments)
        for rank in range(ranks):
            yield compare_named(
                f"rank {rank} of {ranks}: the study's first {len(updates)} updates",
                reference=reference,
                observed=partial(saved_by_ranks, Path(folder) / f"{rank}", ended),
                tolerances=tolerances_for(updater, CURVES),
            )


def _train_subject(
    folder: str,
    parallel: Parallel,
    build: Callable[[], torch.nn.Module],
    updater: Callable[[torch.nn.Module, Layout], Updater],
    updates: Sequence[MicroBatches],
) -> None:
    layout = build_layout(parallel)
    torch.save(_curves(training_values(updater(build(), layout), updates)), Path(folder) / f"{layout.rank}")


def _curves(values: NamedTensors) -> NamedTensors:
    return {name: value for name, value in values.items() if " of update " in name}


def _added(updater: Callable[[Layout], Updater], batch: MicroBatch) -> NamedTensors:
    """Two ranks divide by the number of all tokens; the sum over ranks is computed here."""
    added: Mapping[str, list[Tensor]] = defaultdict(list)
    for rank in range(2):
        for name, value in gradients(updater(_Alone(rank=rank, ranks=2)), [batch]).items():
            added[name].append(value)
    return {name: torch.stack(values).sum(dim=0) for name, values in added.items()}


class _Alone(DataRanks):
    """A rank that does not wait for the others: its gradients and means are its shares."""

    def accumulate(
        self, updater: Passes, micro_batches: MicroBatches, tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        return updater.passes(micro_batches, tokens, total)


def _train_rank(folder: str, parallel: Parallel) -> None:
    for dtype in DTYPES:
        for case, train in _CASES.items():
            layout = build_layout(parallel)
            torch.save(train(dtype, layout, parallel), Path(folder) / f"{layout.rank} {case} {dtype}")


def _twenty_updates(dtype: torch.dtype, layout: Layout, parallel: Parallel) -> NamedTensors:
    updates = [_batches(update, parallel) for update in range(UPDATES)]
    return training_values(_updater(dtype, layout), updates)


def _one_is_infinite(dtype: torch.dtype, layout: Layout, parallel: Parallel) -> NamedTensors:
    """The last rank has an infinite gradient in one of three updates."""
    updater = _updater(dtype, layout, ScaledFloat32())
    for update in range(3):
        spoils = update == INFINITE and layout.rank == layout.ranks - 1
        with _spoiled(updater) if spoils else nullcontext():
            updater(_batches(update, parallel))
    assert updater.scaler is not None
    scale = torch.tensor([updater.scaler.get_scale(), updater.applied], dtype=dtype)
    return {**parameters(layout.gathered(updater.objective.model)), "scale and updates": scale}


def _spoiled(updater: Updater) -> AbstractContextManager[None]:
    """The gradient of this rank becomes infinite, where ranks sum their gradients before they do so."""
    sums_later = type(updater.layout) in (Layout, DataRanks)
    owner, name = (updater, "passes") if sums_later else (updater.layout, "accumulate")
    original = getattr(owner, name)

    def spoiled(*arguments: Any) -> Any:
        means = original(*arguments)
        gradient = updater.parameters[0].grad
        assert gradient is not None
        gradient.view(-1)[0] = math.inf
        return means

    return patched(owner, name, spoiled)


_CASES: Mapping[str, Callable[[torch.dtype, Layout, Parallel], NamedTensors]] = {
    f"{UPDATES} updates": _twenty_updates,
    "an infinite gradient on one rank": _one_is_infinite,
}


def _batches(update: int, parallel: Parallel) -> list[MicroBatch]:
    """Two micro-batches. Of the first, two ranks that divide its rows have 3 and 40 targets; of the second,
    they have 4 and 3 rows. The parts of a micro-batch in a pipeline are equal.
    """
    rows = 7 if parallel.pipeline == 1 else 8
    return [random_batch(update, rows=len(COUNTS), counts=COUNTS), random_batch(update + 100, rows=rows)]


def _updater(dtype: torch.dtype, layout: Layout, precision: Precision | None = None) -> Updater:
    model = built("decoder", NO_KEY_BIAS, dtype)
    return tiny_updater(model, layout=layout, precision=precision or Float32())

"""The checks of communicated-bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from harness.invariants.base import BITWISE, Check
from harness.invariants.ranks_parity.checks import PARALLEL
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.process_group import in_process_group, saved_by_ranks
from harness.invariants.support.tiny import (
    DTYPES,
    MicroBatches,
    built,
    decoder_config,
    random_batch,
    tiny_updater,
    without_dropout,
)
from harness.models.config import ModelConfig
from harness.training.parallel.build import build_layout
from harness.training.parallel.communication import Communication
from harness.training.parallel.config import Parallel
from harness.training.parallel.layout import Layout
from harness.training.parallel.traffic import Traffic, over_ranks
from harness.training.update import Updater

MODELS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "tied": {},
        "untied and gated": {"tie_embeddings": False, "feedforward": {"kind": "gated"}},
        "three layers": {"n_layers": 3, "attention": {"qkv_bias": False}},
    }
)
# An even number of tokens, so that two ranks can divide every parameter equally.
VOCABULARY = {"vocab_size": 20}


def generic_checks(level: str) -> Iterator[Check]:
    """Decoders of several shapes, with one micro-batch and with two."""
    parallel = PARALLEL[level]
    with TemporaryDirectory() as folder:
        ended = in_process_group(parallel.ranks, _count_all, folder, parallel)
        for dtype in DTYPES:
            expected = {case: _formula(case, parallel, dtype) for case in _cases()}
            yield compare_named(
                f"{len(expected)} models and numbers of micro-batches",
                reference={case: torch.tensor(value, dtype=dtype) for case, value in expected.items()},
                observed=partial(saved_by_ranks, Path(folder) / str(dtype), ended),
                tolerances=BITWISE,
            )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own update. An arm with one process sends nothing."""
    config = without_dropout(subject.config)
    (update,), updater = subject.updates(1), subject.updater(subject.build(config))
    parallel, build = subject.parallel, partial(subject.build, config, device="cpu")
    formula = communication_of(updater, config, update).bytes(parallel)
    with TemporaryDirectory() as folder:
        arguments = folder, parallel, build, subject.updater, update
        ended = in_process_group(parallel.ranks, _count_subject, *arguments)
        yield compare_named(
            f"the study's own update on {parallel.ranks} ranks",
            reference={"bytes": torch.tensor(formula, dtype=torch.float64)},
            observed=partial(saved_by_ranks, Path(folder) / str(torch.float64), ended),
            tolerances=BITWISE,
        )


def communication_of(updater: Updater, config: Any, update: MicroBatches) -> Communication:
    """What decides on the bytes of this update."""
    precision, weight = updater.precision, updater.parameters[0].element_size()
    as_computed = precision.computed != precision.master_weights
    rows, length = update[0][-1].shape
    return Communication(
        model=config,
        micro_batches=len(update),
        rows=rows,
        length=length,
        weight_bytes=weight,
        forward_bytes=precision.products_dtype.itemsize if as_computed else weight,
        scaled=updater.scaler is not None,
    )


def _cases() -> Iterator[str]:
    for name in MODELS:
        for micro_batches in (1, 2):
            yield f"{name}, {micro_batches} micro-batches"


def _settings(case: str) -> tuple[Mapping[str, Any], MicroBatches]:
    name, _, rest = case.partition(", ")
    return MODELS[name], [random_batch(seed, rows=4) for seed in range(int(rest[0]))]


def _formula(case: str, parallel: Parallel, dtype: torch.dtype) -> int:
    settings, update = _settings(case)
    model = built("decoder", settings, dtype, **VOCABULARY)
    config = decoder_config(settings, **VOCABULARY)
    assert isinstance(config, ModelConfig)
    return communication_of(tiny_updater(model), config, update).bytes(parallel)


def _count_all(folder: str, parallel: Parallel) -> None:
    for dtype in DTYPES:
        counted: dict[str, Tensor] = {}
        for case in _cases():
            settings, update = _settings(case)
            layout = build_layout(parallel)
            updater = tiny_updater(built("decoder", settings, dtype, **VOCABULARY), layout=layout)
            counted[case] = torch.tensor(_sent(updater, update), dtype=dtype)
        _save(counted, folder, dtype, layout)


def _count_subject(
    folder: str,
    parallel: Parallel,
    build: Callable[[], torch.nn.Module],
    updater: Callable[[torch.nn.Module, Layout], Updater],
    update: MicroBatches,
) -> None:
    layout = build_layout(parallel)
    made = updater(build(), layout)
    sent = torch.tensor(_sent(made, update), dtype=torch.float64)
    _save({"bytes": sent}, folder, sent.dtype, layout)


def _sent(updater: Updater, update: MicroBatches) -> float:
    """The bytes of all ranks in the second update. In the first one, some layouts also agree on shapes."""
    updater(update)
    with Traffic() as traffic:
        updater(update)
    return over_ranks(traffic.sent, updater.objective.device)


def _save(counted: Mapping[str, Tensor], folder: str, dtype: torch.dtype, layout: Layout) -> None:
    if layout.rank == 0:
        torch.save(dict(counted), Path(folder) / str(dtype))

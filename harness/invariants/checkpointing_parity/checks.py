"""The checks of checkpointing-parity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from harness.invariants.base import BITWISE, TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny_models import DTYPES, decoder_config, translator_config
from harness.invariants.support.tiny_training import (
    MicroBatches,
    gradients,
    random_batch,
    tiny_updater,
    training_values,
)
from harness.models.config import NoCheckpointing
from harness.models.init import build_model
from harness.training.update import Updater

UPDATES = 5
WAYS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "none": ({"kind": "none"},),
    "blocks": ({"kind": "blocks"}, {"kind": "blocks", "every": 2}),
    "attention": ({"kind": "attention"},),
}


def generic_checks(level: str) -> Iterator[Check]:
    for dtype, way, kind in product(DTYPES, WAYS[level], ("decoder", "translator")):
        updates = [[random_batch(seed, source=kind == "translator")] for seed in range(UPDATES)]
        plain, checkpointed = (
            partial(_run_tiny, kind, settings, dtype, updates) for settings in ({"kind": "none"}, way)
        )
        yield compare_named(
            f"{kind}, {' '.join(map(str, way.values()))}: loss, gradients and {UPDATES} updates",
            reference=plain(),
            observed=checkpointed,
            tolerances=BITWISE,
        )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own model, batches, loss and optimizer. On a CPU kernels repeat themselves, and the
    comparison is exact.
    """
    plain = subject.config.model_copy(update={"checkpointing": NoCheckpointing()})
    updates = subject.updates(UPDATES)
    yield compare_named(
        f"the study's model: loss, gradients and {len(updates)} updates",
        reference=_run(subject.updater(subject.build(plain)), updates),
        observed=lambda: _run(subject.updater(subject.build(subject.config)), updates),
        tolerances=BITWISE if subject.tokens.device.type == "cpu" else TOLERANCES,
    )


def _tiny(kind: str, way: Mapping[str, Any], dtype: torch.dtype) -> nn.Module:
    if kind == "decoder":
        return build_model(decoder_config({}, n_layers=3, dropout=0.1, checkpointing=way), 0, dtype=dtype)
    return build_model(translator_config({}, dropout=0.1, checkpointing=way), 0, dtype=dtype)


def _run_tiny(
    kind: str, way: Mapping[str, Any], dtype: torch.dtype, updates: Sequence[MicroBatches]
) -> dict[str, Tensor]:
    return _run(tiny_updater(_tiny(kind, way, dtype)), updates)


def _run(updater: Updater, updates: Sequence[MicroBatches]) -> dict[str, Tensor]:
    return {**gradients(updater, updates[0]), **training_values(updater, updates)}

"""The checks of checkpointing-parity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from torch import Tensor

from harness.invariants.base import BITWISE, TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny import (
    DTYPES,
    MicroBatches,
    built,
    gradients,
    random_batch,
    tiny_updater,
    training_values,
)
from harness.models.config import NoCheckpointing
from harness.training.update import Updater

UPDATES = 5
WAYS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "none": ({"kind": "none"},),
    "blocks": ({"kind": "blocks"}, {"kind": "blocks", "every": 2}),
    "attention": ({"kind": "attention"},),
}
SIZES: Mapping[str, Mapping[str, Any]] = {"decoder": {"n_layers": 3}, "translator": {}}


def generic_checks(level: str) -> Iterator[Check]:
    for dtype, way, (kind, sizes) in product(DTYPES, WAYS[level], SIZES.items()):
        updates = [[random_batch(seed, source=kind == "translator")] for seed in range(UPDATES)]
        plain, tested = (
            built(kind, sizes, dtype, dropout=0.1, checkpointing=settings)
            for settings in ({"kind": "none"}, way)
        )
        yield compare_named(
            f"{kind}, {' '.join(map(str, way.values()))}: loss, gradients and {UPDATES} updates",
            reference=_run(tiny_updater(plain), updates),
            observed=partial(_run, tiny_updater(tested), updates),
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


def _run(updater: Updater, updates: Sequence[MicroBatches]) -> dict[str, Tensor]:
    return {**gradients(updater, updates[0]), **training_values(updater, updates)}

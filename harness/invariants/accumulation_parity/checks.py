"""The checks of accumulation-parity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.tokenizer import PAD_ID
from harness.invariants.base import CURVES, TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny import (
    DTYPES,
    NO_KEY_BIAS,
    MicroBatches,
    built,
    gradients,
    random_batch,
    tiny_updater,
    tolerances_for,
    training_values,
    without_dropout,
)
from harness.models.config import IGNORED_TARGET
from harness.training.objective import MicroBatch
from harness.training.update import Updater

# The number of counted targets in each row of each micro-batch: 3, 17 and 40 in all.
COUNTS = ((1, 2, 0, 0), (12, 5, 0, 0), (12, 12, 12, 4))
UPDATES = 20


def generic_checks(_level: str) -> Iterator[Check]:
    for dtype in DTYPES:
        for kind in ("decoder", "translator"):

            def updater(kind: str = kind, dtype: torch.dtype = dtype) -> Updater:
                return tiny_updater(built(kind, NO_KEY_BIAS, dtype))

            updates = [
                [
                    random_batch(10 * update + part, rows=4, counts=counts, source=kind == "translator")
                    for part, counts in enumerate(COUNTS)
                ]
                for update in range(UPDATES)
            ]
            yield from _compared(f"{kind}, micro-batches of 3, 17 and 40 targets", updater, updates)


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own micro-batches against their concatenation. If the arm does not accumulate, its batch is
    divided into two.
    """
    config = without_dropout(subject.config)
    (update,) = subject.updates(1)
    if len(update) == 1:
        update = _halves(update[0])

    def updater() -> Updater:
        return subject.updater(subject.build(config))

    reference = gradients(updater(), [_big(update)])
    yield compare_named(
        f"the study's model: gradients from {len(update)} micro-batches",
        reference=reference,
        observed=lambda: gradients(updater(), update),
        tolerances=tolerances_for(updater(), TOLERANCES),
        gradients=reference.keys() - {"loss"},
    )


def _compared(case: str, updater: Callable[[], Updater], updates: Sequence[MicroBatches]) -> Iterator[Check]:
    reference = gradients(updater(), [_big(updates[0])])
    yield compare_named(
        f"{case}: gradients",
        reference=reference,
        observed=lambda: gradients(updater(), updates[0]),
        gradients=reference.keys() - {"loss"},
    )
    yield compare_named(
        f"{case}: {len(updates)} updates",
        reference=training_values(updater(), [[_big(update)] for update in updates]),
        observed=lambda: training_values(updater(), updates),
        tolerances=CURVES,
    )


def _big(micro_batches: Sequence[MicroBatch]) -> MicroBatch:
    """All rows in one batch, padded on the right if micro-batches have different lengths."""
    *inputs, targets = zip(*micro_batches, strict=True)
    return (*(_rows(arrays, fill=PAD_ID) for arrays in inputs), _rows(targets, fill=IGNORED_TARGET))


def _rows(arrays: Sequence[NDArray[np.int64]], *, fill: int) -> NDArray[np.int64]:
    longest = max(array.shape[1] for array in arrays)
    return np.concatenate(
        [np.pad(array, ((0, 0), (0, longest - array.shape[1])), constant_values=fill) for array in arrays]
    )


def _halves(batch: MicroBatch) -> list[MicroBatch]:
    """The halves of a batch; a batch of one row is not divided."""
    parts = [tuple(arrays) for arrays in zip(*(np.array_split(array, 2) for array in batch), strict=True)]
    return [part for part in parts if len(part[0])]

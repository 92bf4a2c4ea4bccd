"""The checks of compiled-parity."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from harness.invariants.base import BITWISE, CURVES, TOLERANCES, Check
from harness.invariants.compiled_parity import COMPILED
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
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
from harness.training.update import Updater

UPDATES = 20


def generic_checks(level: str) -> Iterator[Check]:
    compiled = level == COMPILED
    updates = [[random_batch(seed)] for seed in range(UPDATES)]
    for dtype in DTYPES:

        def updater(dtype: torch.dtype = dtype) -> Updater:
            return tiny_updater(built("decoder", NO_KEY_BIAS, dtype, n_layers=1))

        def observed(updater: Callable[[], Updater] = updater) -> dict[str, Tensor]:
            return training_values(_compiled(updater()) if compiled else updater(), updates)

        yield compare_named(
            f"{UPDATES} updates with clipping",
            reference=training_values(updater(), updates),
            observed=observed,
            tolerances=CURVES if compiled else BITWISE,
        )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The loss and the gradients of the arm's own updater, compiled if the arm compiles."""
    config = without_dropout(subject.config)
    (update,) = subject.updates(1)
    plain, tested = (subject.updater(subject.build(config)) for _ in range(2))
    reference = gradients(plain, update)
    yield compare_named(
        "the study's own gradients",
        reference=reference,
        observed=lambda: gradients(_compiled(tested) if subject.compiles else tested, update),
        tolerances=tolerances_for(tested, TOLERANCES),
        gradients=reference.keys() - {"loss"},
    )


def _compiled(updater: Updater) -> Updater:
    updater.objective.compile()
    return updater

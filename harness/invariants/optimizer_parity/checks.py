"""The checks of optimizer-parity."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harness.invariants.base import BITWISE, CURVES, TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny import (
    DTYPES,
    NO_KEY_BIAS,
    built,
    random_batch,
    tiny_updater,
    tolerances_for,
    training_values,
    without_dropout,
)
from harness.training.optim import SGD, Adam, AdamW, OptimizerSettings, RAdam
from harness.training.update import Updater

UPDATES = 20
OPTIMIZERS: tuple[OptimizerSettings, ...] = (
    SGD(lr=0.1, weight_decay=0.01),
    Adam(lr=1e-2, weight_decay=0.01),
    AdamW(lr=1e-2),
    RAdam(lr=1e-2),
)


def generic_checks(level: str) -> Iterator[Check]:
    updates = [[random_batch(seed)] for seed in range(UPDATES)]
    for dtype in DTYPES:
        for settings in OPTIMIZERS:
            if level == "fused" and settings.kind == "radam":
                continue  # torch has no fused one
            yield compare_named(
                f"{settings.kind}: {UPDATES} updates with clipping",
                reference=training_values(_tiny(settings, "for-loop", dtype), updates),
                observed=lambda settings=settings, dtype=dtype: training_values(  # type: ignore[misc]
                    _tiny(settings, level, dtype), updates
                ),
                tolerances=BITWISE if level == "for-loop" else CURVES,
            )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The first update of the arm's own optimizer, and the losses and norms of the next ones."""
    config, updates = without_dropout(subject.config), subject.updates(5)

    def plain() -> Updater:
        return _implemented(subject.updater(subject.build(config)), "for-loop")

    def tested() -> Updater:
        return subject.updater(subject.build(config))

    yield compare_named(
        "the study's own first update",
        reference=training_values(plain(), updates[:1]),
        observed=lambda: training_values(tested(), updates[:1]),
        tolerances=tolerances_for(tested(), TOLERANCES),
    )
    curves = _curves(training_values(plain(), updates))
    yield compare_named(
        f"losses and gradient norms of the study's own {len(updates)} updates",
        reference=curves,
        observed=lambda: _curves(training_values(tested(), updates)),
        tolerances=tolerances_for(tested(), CURVES),
    )


def _curves(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The losses and norms, without the parameters: if a gradient consists of rounding errors, Adam makes
    full steps in random directions.
    """
    return {name: value for name, value in values.items() if " of update " in name}


def _tiny(settings: OptimizerSettings, implementation: str, dtype: torch.dtype) -> Updater:
    updater = tiny_updater(built("decoder", NO_KEY_BIAS, dtype), optimizer=settings)
    return _implemented(updater, implementation)


def _implemented(updater: Updater, implementation: str) -> Updater:
    """The updater with another implementation of its optimizer, if there is one, before the first update."""
    for group in updater.optimizer.param_groups:
        for name in ("fused", "foreach"):
            if name in group:
                group[name] = name == implementation
    return updater

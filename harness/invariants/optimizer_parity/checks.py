"""The cases of optimizer-parity. Imported when checks run, never to list them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harness.invariants.base import BITWISE, CURVES, TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny_models import DTYPES, decoder_config
from harness.invariants.support.tiny_training import (
    random_batch,
    tiny_updater,
    tolerances_for,
    trained,
    without_dropout,
)
from harness.models.init import build_model
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
                continue  # torch has none
            yield compare_named(
                f"{settings.kind}: {UPDATES} updates with clipping",
                reference=trained(_tiny(settings, "for-loop", dtype), updates),
                observed=lambda settings=settings, dtype=dtype: trained(  # type: ignore[misc]
                    _tiny(settings, level, dtype), updates
                ),
                tolerances=BITWISE if level == "for-loop" else CURVES,
            )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own optimizer: its first update, and the losses and norms of those after it."""
    config, updates = without_dropout(subject.config), subject.updates(5)

    def plain() -> Updater:
        return _implemented(subject.updater(subject.build(config)), "for-loop")

    def own() -> Updater:
        return subject.updater(subject.build(config))

    yield compare_named(
        "the study's own first update",
        reference=trained(plain(), updates[:1]),
        observed=lambda: trained(own(), updates[:1]),
        tolerances=tolerances_for(own(), TOLERANCES),
    )
    curves = _curves(trained(plain(), updates))
    yield compare_named(
        f"losses and gradient norms of the study's own {len(updates)} updates",
        reference=curves,
        observed=lambda: _curves(trained(own(), updates)),
        tolerances=tolerances_for(own(), CURVES),
    )


def _curves(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without parameters: of one without a gradient but rounding, Adam makes whole steps in any direction."""
    return {name: value for name, value in found.items() if " of update " in name}


def _tiny(settings: OptimizerSettings, implementation: str, dtype: torch.dtype) -> Updater:
    model = build_model(decoder_config({"attention": {"qkv_bias": False}}), 0, dtype=dtype)
    return _implemented(tiny_updater(model, optimizer=settings), implementation)


def _implemented(updater: Updater, implementation: str) -> Updater:
    """The same optimizer in another implementation, where it has one, before its first update."""
    for group in updater.optimizer.param_groups:
        for name in ("fused", "foreach"):
            if name in group:
                group[name] = name == implementation
    if hasattr(updater.optimizer, "_step_supports_amp_scaling"):  # whether the scaler leaves unscaling to it
        updater.optimizer._step_supports_amp_scaling = implementation == "fused"
    return updater

"""The checks of amp-skips."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from harness.invariants.amp_skips import SCALED
from harness.invariants.base import TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny import (
    DTYPES,
    RepeatedBatches,
    decoder_config,
    parameters,
    random_batch,
    run_training,
    tolerances_for,
    without_dropout,
)
from harness.models.config import LossConfig
from harness.models.init import build_model
from harness.training.objective import MicroBatch, Objective
from harness.training.optim import SGD
from harness.training.precision import Float16Autocast, Float16Scaled, Float32, Precision
from harness.training.schedule import LinearSchedule, Schedule
from harness.training.update import Updater

UPDATES, SKIPPED = 6, 2  # of updates 0 to 5
SCHEDULE = LinearSchedule(warmup=2)
CLIP = 0.5  # below the norms of these models


def generic_checks(level: str) -> Iterator[Check]:
    """In float64 no product is in a lower precision, and the scale is a power of two, which causes no
    rounding: the comparison is exact.

    The optimizer is plain gradient descent, because others divide by the gradient's size, which magnifies
    rounding errors.
    """
    scaled = level == SCALED
    batches = [random_batch(seed) for seed in range(UPDATES)]
    for dtype in DTYPES:
        with_scale, without = (Float16Scaled(), Float16Autocast()) if scaled else (Float32(), Float32())
        reference = _updater(without, dtype)
        yield compare_named(
            "one of six updates skipped" if scaled else "nothing skipped",
            reference=_without_it(reference, batches, skips=scaled),
            observed=lambda dtype=dtype, precision=with_scale: _with_it(  # type: ignore[misc]
                _updater(precision, dtype), batches, SCHEDULE, skips=scaled
            ),
            tolerances=tolerances_for(reference, TOLERANCES) if dtype == torch.float32 else TOLERANCES,
        )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The counts, rates and first norm of the arm's own updater. An arm without a scaler skips no update."""
    config = without_dropout(subject.config)
    plain, tested = (subject.updater(subject.build(config)) for _ in range(2))
    batches = subject.updates(1)[0]
    skips = tested.scaler is not None
    first, schedule, clip = list(batches[:1]), subject.schedule, plain.clip
    if skips:
        plain = Updater(plain.objective, plain.optimizer, precision=Float16Autocast(), clip=clip)
    expected = _without_it(plain, first * UPDATES, skips=skips, schedule=schedule)
    names = ("learning rates", "updates", "first norm")
    yield compare_named(
        "the study's own updates",
        reference={name: expected[name] for name in names},
        observed=lambda: _selected(_with_it(tested, first, schedule, skips=skips), names),
        tolerances=tolerances_for(plain, TOLERANCES),
    )


def _selected(values: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: values[name] for name in names}


def _updater(precision: Precision, dtype: torch.dtype) -> Updater:
    model = build_model(decoder_config({}), 0, dtype=dtype)
    return Updater(Objective(model, LossConfig()), SGD(lr=0.1).build(model), precision=precision, clip=CLIP)


def _without_it(
    updater: Updater, batches: Sequence[MicroBatch], *, skips: bool, schedule: Schedule = SCHEDULE
) -> dict[str, Tensor]:
    """The updates one by one, without the skipped one, which takes no step of the schedule."""
    remaining = [batch for index, batch in enumerate(batches) if not skips or index != SKIPPED]
    rates, norms = [], []
    updater.objective.model.train()
    for applied, batch in enumerate(remaining):
        rates.append(updater.set_rate(schedule.factor(applied, UPDATES)))
        norms.append(float(updater([batch]).norm))
    if skips:  # the skipped update is tried at the rate of the next one
        rates.insert(SKIPPED, rates[SKIPPED])
    return _values(updater, rates, norms, attempted=UPDATES, applied=len(remaining))


def _with_it(
    updater: Updater, batches: Sequence[MicroBatch], schedule: Schedule, *, skips: bool
) -> dict[str, Tensor]:
    """The same updates by the training loop, with an infinite gradient in the update that must be skipped."""
    parameter = next(weight for weight in updater.objective.model.parameters() if weight.requires_grad)

    def inject(gradient: Tensor) -> Tensor:
        return gradient + math.inf if skips and updater.attempted == SKIPPED else gradient

    handle = parameter.register_hook(inject)  # type: ignore[no-untyped-call]
    try:
        spent, recorded = run_training(updater, RepeatedBatches(batches), schedule=schedule, updates=UPDATES)
    finally:
        handle.remove()
    norms = [norm for norm in recorded["gradient_norm"] if math.isfinite(norm)]
    return _values(
        updater,
        recorded["learning_rate"],
        norms,
        attempted=spent.updates,
        applied=spent.applied_updates,
    )


def _values(
    updater: Updater, rates: list[float], norms: list[float], *, attempted: int, applied: int
) -> dict[str, Tensor]:
    model = updater.objective.model
    dtype = next(model.parameters()).dtype

    def tensor(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=dtype)

    return {
        **parameters(model),
        "learning rates": tensor(rates),
        "gradient norms": tensor(norms),
        "first norm": tensor(norms[:1]),
        "updates": tensor([attempted, applied]),
    }

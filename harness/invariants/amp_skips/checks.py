"""The cases of amp-skips. Imported when checks run, never to list them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from harness.invariants.amp_skips import SCALED
from harness.invariants.base import TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.loop_runs import Repeated, looped
from harness.invariants.support.tiny_models import DTYPES, decoder_config
from harness.invariants.support.tiny_training import parameters, random_batch, tolerances_for, without_dropout
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
    """In float64 products are as they are and the scale, a power of two, cannot round: there the comparison
    is exact.

    Plain gradient descent: what dividing by the gradient's own size would make of rounding is not what is
    asked.
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
    """The arm's own updater: counts, rates and the first norm; an arm without a scaler skips nothing."""
    config = without_dropout(subject.config)
    plain, tested = (subject.updater(subject.build(config)) for _ in range(2))
    batches = subject.updates(1)[0]
    skips = tested.scaler is not None
    first, schedule, clip = list(batches[:1]), subject.schedule, plain.clip
    if skips:
        plain = Updater(plain.objective, plain.optimizer, precision=Float16Autocast(), clip=clip)
    wanted = _without_it(plain, first * UPDATES, skips=skips, schedule=schedule)
    asked = ("learning rates", "updates", "first norm")
    yield compare_named(
        "the study's own updates",
        reference={name: wanted[name] for name in asked},
        observed=lambda: _chosen(_with_it(tested, first, schedule, skips=skips), asked),
        tolerances=tolerances_for(plain, TOLERANCES),
    )


def _chosen(found: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: found[name] for name in names}


def _updater(precision: Precision, dtype: torch.dtype) -> Updater:
    model = build_model(decoder_config({}), 0, dtype=dtype)
    return Updater(Objective(model, LossConfig()), SGD(lr=0.1).build(model), precision=precision, clip=CLIP)


def _without_it(
    updater: Updater, batches: Sequence[MicroBatch], *, skips: bool, schedule: Schedule = SCHEDULE
) -> dict[str, Tensor]:
    """The updates made one by one, the skipped one left out: it takes the place of none in the schedule."""
    kept = [batch for index, batch in enumerate(batches) if not skips or index != SKIPPED]
    rates, norms = [], []
    updater.objective.model.train()
    for applied, batch in enumerate(kept):
        rates.append(updater.set_rate(schedule.factor(applied, UPDATES)))
        norms.append(float(updater([batch]).norm))
    if skips:  # the one that is skipped is tried at the rate of the one that follows it
        rates.insert(SKIPPED, rates[SKIPPED])
    return _told(updater, rates, norms, attempted=UPDATES, applied=len(kept))


def _with_it(
    updater: Updater, batches: Sequence[MicroBatch], schedule: Schedule, *, skips: bool
) -> dict[str, Tensor]:
    """The same by the training loop, an infinite gradient in the update that is to be skipped."""
    parameter = next(each for each in updater.objective.model.parameters() if each.requires_grad)

    def inject(gradient: Tensor) -> Tensor:
        return gradient + math.inf if skips and updater.attempted == SKIPPED else gradient

    handle = parameter.register_hook(inject)  # type: ignore[no-untyped-call]
    try:
        spent, found = looped(updater, Repeated(batches), schedule=schedule, updates=UPDATES)
    finally:
        handle.remove()
    norms = [each for each in found["gradient_norm"] if math.isfinite(each)]
    return _told(
        updater,
        found["learning_rate"],
        norms,
        attempted=spent.updates,
        applied=spent.applied_updates,
    )


def _told(
    updater: Updater, rates: list[float], norms: list[float], *, attempted: int, applied: int
) -> dict[str, Tensor]:
    model = updater.objective.model
    dtype = next(model.parameters()).dtype

    def told(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=dtype)

    return {
        **parameters(model),
        "learning rates": told(rates),
        "gradient norms": told(norms),
        "first norm": told(norms[:1]),
        "updates": told([attempted, applied]),
    }

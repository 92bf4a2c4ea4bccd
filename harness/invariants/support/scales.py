"""The scale of the loss at which the updates of a study's own arm can be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from harness.invariants.subjects import TrainingSubject
from harness.training.objective import counted
from harness.training.precision import Float16Scaled, Precision
from harness.training.update import Updater

STEP = 64.0  # several halvings, because the gradients of later updates may be larger


class ScaledFloat32(Float16Scaled):
    """A scaled loss without products in 16 bits. A scale that is a power of two then changes no rounding, so
    a training without a scaler is the same to the last bit.
    """

    computed: ClassVar[str] = "float32"


def without_overflow(subject: TrainingSubject) -> TrainingSubject:
    """The arm with a scale at which its first update is not skipped.

    A scaler begins with a scale that may be too large, and skips updates until it fits. Such updates have no
    finite gradients, so nothing about them can be compared.
    """
    updater = subject.updater(subject.model)
    if not isinstance(updater.precision, Float16Scaled) or not subject.updates(1):
        return subject
    fitting = _fitting(updater.precision, updater, subject)
    if fitting == updater.precision:
        return subject
    return replace(subject, updater=partial(_updater_in, fitting, subject.updater))


def _updater_in(precision: Precision, updater: Callable[..., Updater], *built: Any) -> Updater:
    return in_precision(precision, updater(*built))


def in_precision(precision: Precision, updater: Updater) -> Updater:
    """An updater of the same model in another precision, before its first update."""
    return Updater(
        updater.objective, updater.optimizer, precision=precision, clip=updater.clip, layout=updater.layout
    )


def _fitting(precision: Float16Scaled, updater: Updater, subject: TrainingSubject) -> Float16Scaled:
    scale = precision.initial_scale
    while scale > 1.0:
        fits = precision.model_copy(update={"initial_scale": scale})
        if _has_finite_gradients(in_precision(fits, updater), subject):
            return fits
        scale /= STEP
    return precision


def _has_finite_gradients(updater: Updater, subject: TrainingSubject) -> bool:
    batches = subject.updates(1)[0]
    updater.accumulate(batches, [counted(batch) for batch in batches])
    gradients = [weight.grad for weight in updater.objective.model.parameters() if weight.grad is not None]
    updater.optimizer.zero_grad(set_to_none=True)
    return all(bool(gradient.isfinite().all()) for gradient in gradients)

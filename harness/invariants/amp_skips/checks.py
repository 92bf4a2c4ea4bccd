"""The checks of amp-skips."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import get_args

import torch
from torch import Tensor

from harness.errors import InputError
from harness.invariants.amp_skips import SCALED
from harness.invariants.base import BITWISE, TOLERANCES, Check, patched
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.scales import ScaledFloat32, in_precision
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
from harness.training.optim import SGD, OptimizerConfig, OptimizerSettings, trained_in
from harness.training.precision import Float16Autocast, Float16Scaled, Float32, Precision
from harness.training.schedule import LinearSchedule, Schedule
from harness.training.update import Updater

UPDATES = 6
SKIPPED = frozenset({0, 2, 5})  # of updates 0 to 5
SCHEDULE = LinearSchedule(warmup=2)
CLIP = 0.5  # below the norms of these models

APPLIED = 4
SKIPS: Mapping[str, Sequence[int]] = {
    "before the first update": (1, 0, 0, 0, 0),
    "before the second update": (0, 1, 0, 0, 0),
    "before the last update": (0, 0, 0, 1, 0),
    "after the last update": (0, 0, 0, 0, 1),
    "several times in a row": (3, 2, 0, 2, 1),
}
"""How many updates are skipped before each of the updates that are applied, and after the last."""


def generic_checks(level: str) -> Iterator[Check]:
    for dtype in DTYPES:
        yield _scheduled(dtype, scaled=level == SCALED)
        if level == SCALED:
            yield _never_applied(dtype)
            for settings in _optimizers():
                yield from _without_a_trace(settings, dtype)


def _scheduled(dtype: torch.dtype, *, scaled: bool) -> Check:
    """The training loop with products in 16 bits (in float64 no product is in a lower precision).

    The optimizer is plain gradient descent, because others divide by the gradient's size, which magnifies
    rounding errors.
    """
    batches = [random_batch(seed) for seed in range(UPDATES)]
    with_scale, without = (Float16Scaled(), Float16Autocast()) if scaled else (Float32(), Float32())
    reference = _updater(without, dtype)
    skipped = SKIPPED if scaled else frozenset[int]()
    return compare_named(
        f"{len(skipped)} of six updates skipped" if scaled else "nothing skipped",
        reference=_without_them(reference, batches, skipped=skipped),
        observed=lambda: _with_them(_updater(with_scale, dtype), batches, SCHEDULE, skipped=skipped),
        tolerances=tolerances_for(reference, TOLERANCES) if dtype == torch.float32 else TOLERANCES,
    )


def _without_a_trace(settings: OptimizerSettings, dtype: torch.dtype) -> Iterator[Check]:
    """An optimizer with skips at each position, against its training without them, to the last bit."""
    with _nan_in_new_memory():
        reference = _skipping(_updater(Float32(), dtype, settings), (0,) * (APPLIED + 1))
    for name, skips in SKIPS.items():

        def observed(skips: Sequence[int] = skips) -> dict[str, Tensor]:
            with _nan_in_new_memory():
                return _skipping(_updater(ScaledFloat32(), dtype, settings), skips)

        yield compare_named(
            f"{settings.kind}: skipped {name}", reference=reference, observed=observed, tolerances=BITWISE
        )


def _never_applied(dtype: torch.dtype) -> Check:
    """Updates that are all skipped, with a scale that soon is 0, the half of which is no smaller."""
    nothing = _updater(Float32(), dtype)
    smallest = ScaledFloat32(initial_scale=2.0**-148)
    return compare_named(
        "every update skipped",
        reference={**parameters(nothing.objective.model), "applied": torch.zeros(1, dtype=dtype)},
        observed=lambda: _skipping(_updater(smallest, dtype), (UPDATES,)),
        tolerances=BITWISE,
    )


def _optimizers() -> Iterator[OptimizerSettings]:
    """Every optimizer whose package is installed, with its defaults."""
    for kind in get_args(get_args(OptimizerConfig)[0]):
        settings: OptimizerSettings = kind(lr=1e-2)
        try:
            settings.check_installed()
        except InputError:
            continue
        yield settings


def _skipping(updater: Updater, skips: Sequence[int]) -> dict[str, Tensor]:
    """The weights after some updates, with `skips[i]` updates with an infinite gradient before update i, and
    the number of updates that were applied.
    """
    trained_in(updater.optimizer)
    applied = 0
    with _infinite_gradients(updater, lambda: infinite):
        for number, count in enumerate(skips):
            infinite = True
            for attempt in range(count):
                updater([random_batch(APPLIED + attempt)])
            infinite = False
            if number + 1 < len(skips):
                updater([random_batch(number)])
        applied = updater.applied
    model = updater.objective.model
    return {**parameters(model), "applied": torch.tensor([applied], dtype=next(model.parameters()).dtype)}


@contextmanager
def _infinite_gradients(updater: Updater, infinite: Callable[[], bool]) -> Iterator[None]:
    """Makes the gradient of one weight infinite whenever `infinite` says so."""
    weight = next(weight for weight in updater.objective.model.parameters() if weight.requires_grad)
    handle = weight.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient + math.inf if infinite() else gradient
    )
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _nan_in_new_memory() -> Iterator[None]:
    """Memory that torch does not initialise holds NaN, and not what happened to be there."""
    deterministic, memory = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with patched(memory, "fill_uninitialized_memory", True):  # noqa: FBT003
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The counts, rates and first norm of the arm's own updater. An arm without a scaler skips no update."""
    config = without_dropout(subject.config)
    plain, tested = (subject.updater(subject.build(config)) for _ in range(2))
    first, schedule = list(subject.updates(1)[0][:1]), subject.schedule
    skipped = frozenset[int]()
    if tested.scaler is not None:
        skipped = SKIPPED
        plain = in_precision(Float16Autocast(), plain)
    expected = _without_them(plain, first * UPDATES, skipped=skipped, schedule=schedule)
    names = ("learning rates", "updates", "first norm")
    yield compare_named(
        "the study's own updates",
        reference={name: expected[name] for name in names},
        observed=lambda: _selected(_with_them(tested, first, schedule, skipped=skipped), names),
        tolerances=tolerances_for(plain, TOLERANCES),
    )


def _selected(values: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: values[name] for name in names}


def _updater(precision: Precision, dtype: torch.dtype, settings: OptimizerSettings | None = None) -> Updater:
    model = build_model(decoder_config({}, n_layers=1), 0, dtype=dtype).train()
    optimizer = (settings or SGD(lr=0.1)).build(model)
    return Updater(Objective(model, LossConfig()), optimizer, precision=precision, clip=CLIP)


def _without_them(
    updater: Updater,
    batches: Sequence[MicroBatch],
    *,
    skipped: Collection[int],
    schedule: Schedule = SCHEDULE,
) -> dict[str, Tensor]:
    """The updates one by one, without the skipped ones, which are tried at the rate of the next one and take
    no step of the schedule.
    """
    rates: list[float] = []
    norms: list[float] = []
    updater.objective.model.train()
    for attempt, batch in enumerate(batches):
        rates.append(updater.set_rate(schedule.factor(len(norms), UPDATES)))
        if attempt not in skipped:
            norms.append(float(updater([batch]).norm))
    return _values(updater, rates, norms, attempted=UPDATES, applied=len(norms))


def _with_them(
    updater: Updater, batches: Sequence[MicroBatch], schedule: Schedule, *, skipped: Collection[int]
) -> dict[str, Tensor]:
    """The same updates by the training loop, with infinite gradients in the updates that must be skipped."""
    with _infinite_gradients(updater, lambda: updater.attempted in skipped):
        spent, recorded = run_training(updater, RepeatedBatches(batches), schedule=schedule, updates=UPDATES)
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

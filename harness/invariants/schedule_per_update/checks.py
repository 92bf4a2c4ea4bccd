"""The checks of schedule-per-update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from harness.invariants.base import Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny import (
    DTYPES,
    RepeatedBatches,
    decoder_config,
    random_batch,
    run_training,
    tiny_updater,
)
from harness.models.init import build_model
from harness.training.objective import MicroBatch
from harness.training.schedule import (
    ConstantSchedule,
    CosineSchedule,
    InverseSquareRootSchedule,
    LinearSchedule,
    Schedule,
    WarmupStableDecaySchedule,
)
from harness.training.update import Updater

UPDATES, FEW = 12, 6
ACCUMULATE = (1, 3)
SCHEDULES: tuple[Schedule, ...] = (
    ConstantSchedule(warmup=5),
    CosineSchedule(warmup=3, flat=2),
    LinearSchedule(warmup=2),
    InverseSquareRootSchedule(warmup=4),
    WarmupStableDecaySchedule(warmup=3, decay=5),
)


def generic_checks(_level: str) -> Iterator[Check]:
    batches = [random_batch(seed, rows=1) for seed in range(4)]
    for dtype in DTYPES:
        for schedule in SCHEDULES:
            for accumulate in ACCUMULATE:
                updater = tiny_updater(build_model(decoder_config({}, n_layers=1), 0, dtype=dtype))
                yield _followed(
                    f"{schedule.kind}, {accumulate} micro-batches per update",
                    updater,
                    batches,
                    schedule,
                    accumulate,
                )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own schedule as if it had few updates, with the arm's own micro-batches."""
    updater = subject.updater(subject.build(subject.config))
    yield _followed(
        f"{FEW} updates of the study's own, {subject.accumulate} micro-batches each",
        updater,
        subject.updates(1)[0],
        subject.schedule,
        subject.accumulate,
        updates=FEW,
    )


def _followed(
    case: str,
    updater: Updater,
    batches: Sequence[MicroBatch],
    schedule: Schedule,
    accumulate: int,
    *,
    updates: int = UPDATES,
) -> Check:
    dtype = next(updater.objective.model.parameters()).dtype
    peak = float(updater.optimizer.param_groups[0]["lr"])
    wanted = [peak * schedule.factor(update, updates) for update in range(updates)]

    def observed() -> dict[str, Tensor]:
        spent, recorded = run_training(
            updater, RepeatedBatches(batches), schedule=schedule, updates=updates, accumulate=accumulate
        )
        return {
            "learning rates": torch.tensor(recorded["learning_rate"], dtype=dtype),
            "updates": torch.tensor([spent.updates], dtype=dtype),
        }

    reference = {
        "learning rates": torch.tensor(wanted, dtype=dtype),
        "updates": torch.tensor([updates], dtype=dtype),
    }
    return compare_named(case, reference=reference, observed=observed)

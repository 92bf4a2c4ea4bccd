"""The checks of resume-parity."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from harness.invariants.base import BITWISE, TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.subprocesses import in_processes
from harness.invariants.support.tiny import (
    DTYPES,
    RepeatedBatches,
    decoder_config,
    make_training,
    parameters,
    random_batch,
    seeded,
    tiny_updater,
)
from harness.models.init import build_model
from harness.training.loop import Training
from harness.training.schedule import CosineSchedule
from harness.training.state import resume, save_state

UPDATES, SAVE_EVERY = 9, 2
RECIPE = {"what": "a training that is interrupted"}

Make = Callable[[], Training]


class _InterruptionError(Exception):
    """Raised to end a training in an update."""


def generic_checks(_level: str) -> Iterator[Check]:
    """Killed in a random update, after the first save and before the last one."""
    for dtype in DTYPES:
        last = random.SystemRandom().randrange(SAVE_EVERY + 1, UPDATES - 1)
        with _one_thread():
            reference = _uninterrupted(partial(_tiny, dtype))
        yield compare_named(
            f"killed by SIGKILL in update {last + 1} of {UPDATES}",
            reference=reference,
            observed=partial(_killed, dtype, last),
            tolerances=BITWISE,
        )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own training, interrupted after its third update and resumed from the state that was saved
    after the second.
    """

    def make() -> Training:
        data = RepeatedBatches(subject.micro_batches)
        updater = subject.updater(subject.build(subject.config))
        made = make_training(
            updater,
            data,
            schedule=subject.schedule,
            updates=updates,
            accumulate=subject.accumulate,
            save_every=2,
        )
        return made.training

    updates = len(subject.updates(5))
    yield compare_named(
        f"the study's own training, interrupted in update 4 of {updates}",
        reference=_uninterrupted(make),
        observed=lambda: _interrupted(make, 3),
        tolerances=BITWISE if subject.tokens.device.type == "cpu" else TOLERANCES,
    )


def _tiny(dtype: torch.dtype) -> Training:
    updater = tiny_updater(build_model(decoder_config({}, dropout=0.1), 0, dtype=dtype))
    data = RepeatedBatches([random_batch(seed) for seed in range(5)])
    return make_training(
        updater, data, schedule=CosineSchedule(warmup=2), updates=UPDATES, accumulate=2, save_every=SAVE_EVERY
    ).training


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread, as in the process that is killed: with several threads sums may be rounded differently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _uninterrupted(make: Make) -> dict[str, Tensor]:
    training = make()
    with seeded(training.updater.objective.model):
        training.run()
    return parameters(training.updater.objective.model)


def _killed(dtype: torch.dtype, last: int) -> dict[str, Tensor]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        (ended,) = in_processes(_train_until_killed, [(dtype, last, str(path))])
        if ended != -signal.SIGKILL:
            raise RuntimeError(f"the training should have been killed, but it ended with exit code {ended}")
        with _one_thread():
            return _resumed(partial(_tiny, dtype), path)


def _train_until_killed(dtype: torch.dtype, last: int, path: str) -> None:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    _until(partial(_tiny, dtype), last, Path(path), kill)


def _interrupted(make: Make, last: int) -> dict[str, Tensor]:
    def interrupt() -> None:
        raise _InterruptionError

    with TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        try:
            _until(make, last, path, interrupt)
        except _InterruptionError:
            return _resumed(make, path)
        raise RuntimeError("the training was not interrupted")


def _until(make: Make, last: int, path: Path, end: Callable[[], None]) -> None:
    """Train and save, and call `end` in the backward pass of update `last`, counted from 0."""
    training = make()
    updater = training.updater
    parameter = next(weight for weight in updater.objective.model.parameters() if weight.requires_grad)

    def interrupt(gradient: Tensor) -> Tensor:
        if updater.attempted == last:
            end()
        return gradient

    parameter.register_hook(interrupt)  # type: ignore[no-untyped-call]
    with seeded(updater.objective.model):
        training.run(lambda position: save_state(path, training, RECIPE, position))


def _resumed(make: Make, path: Path) -> dict[str, Tensor]:
    """Resume from the last saved state, with generators that are in another state."""
    training = make()
    with seeded(training.updater.objective.model):
        torch.manual_seed(12345)
        resume(path, training, RECIPE)
        training.run()
    return parameters(training.updater.objective.model)

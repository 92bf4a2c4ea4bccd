"""The cases of resume-parity. Imported when checks run, never to list them."""

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
from harness.invariants.support.loop_runs import Repeated, loop
from harness.invariants.support.subprocesses import in_processes
from harness.invariants.support.tiny_models import DTYPES, decoder_config
from harness.invariants.support.tiny_training import parameters, random_batch, seeded, tiny_updater
from harness.models.init import build_model
from harness.training.loop import Training
from harness.training.schedule import CosineSchedule
from harness.training.state import resume, save_state

UPDATES, SAVE_EVERY = 9, 2
RECIPE = {"what": "a training to be interrupted"}

Make = Callable[[], Training]


class _LeftError(Exception):
    """Raised where a training is left."""


def generic_checks(_level: str) -> Iterator[Check]:
    """Killed in an update that is drawn anew each time, after the first save and before the last."""
    for dtype in DTYPES:
        last = random.SystemRandom().randrange(SAVE_EVERY + 1, UPDATES - 1)
        with _one_thread():
            reference = _whole(partial(_tiny, dtype))
        yield compare_named(
            f"killed by SIGKILL in update {last + 1} of {UPDATES}",
            reference=reference,
            observed=partial(_killed, dtype, last),
            tolerances=BITWISE,
        )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own training, left after its third update and gone on with from the state saved at the
    second.
    """

    def make() -> Training:
        data = Repeated(subject.micro_batches)
        updater = subject.updater(subject.build(subject.config))
        made = loop(
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
        f"the study's own training, left in update 4 of {updates}",
        reference=_whole(make),
        observed=lambda: _left(make, 3),
        tolerances=BITWISE if subject.tokens.device.type == "cpu" else TOLERANCES,
    )


def _tiny(dtype: torch.dtype) -> Training:
    updater = tiny_updater(build_model(decoder_config({}, dropout=0.1), 0, dtype=dtype))
    data = Repeated([random_batch(seed) for seed in range(5)])
    return loop(
        updater, data, schedule=CosineSchedule(warmup=2), updates=UPDATES, accumulate=2, save_every=SAVE_EVERY
    ).training


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in the process that is killed: sums in several threads may be rounded in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _whole(make: Make) -> dict[str, Tensor]:
    training = make()
    with seeded(training.updater.objective.model):
        training.run()
    return parameters(training.updater.objective.model)


def _killed(dtype: torch.dtype, last: int) -> dict[str, Tensor]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        (ended,) = in_processes(_train_until_killed, [(dtype, last, str(path))])
        if ended != -signal.SIGKILL:
            raise RuntimeError(f"the training that was to be killed ended with {ended}")
        with _one_thread():
            return _gone_on(partial(_tiny, dtype), path)


def _train_until_killed(dtype: torch.dtype, last: int, path: str) -> None:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    _until(partial(_tiny, dtype), last, Path(path), kill)


def _left(make: Make, last: int) -> dict[str, Tensor]:
    def leave() -> None:
        raise _LeftError

    with TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        try:
            _until(make, last, path, leave)
        except _LeftError:
            return _gone_on(make, path)
        raise RuntimeError("the training was not left")


def _until(make: Make, last: int, path: Path, end: Callable[[], None]) -> None:
    """Train, saving, and end in the backward pass of update `last`, from 0."""
    training = make()
    updater = training.updater
    parameter = next(each for each in updater.objective.model.parameters() if each.requires_grad)

    def interrupt(gradient: Tensor) -> Tensor:
        if updater.attempted == last:
            end()
        return gradient

    parameter.register_hook(interrupt)  # type: ignore[no-untyped-call]
    with seeded(updater.objective.model):
        training.run(lambda position: save_state(path, training, RECIPE, position))


def _gone_on(make: Make, path: Path) -> dict[str, Tensor]:
    """From the last state saved, the generators anywhere else."""
    training = make()
    with seeded(training.updater.objective.model):
        torch.manual_seed(12345)
        resume(path, training, RECIPE)
        training.run()
    return parameters(training.updater.objective.model)

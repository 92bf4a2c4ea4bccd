"""resume-parity: a training run that was killed and resumed ends as if nothing had interrupted it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, patched, replaced
from harness.invariants.subjects import Subject, TrainingSubject

if TYPE_CHECKING:
    import torch

    from harness.training.loop import Training


def _data_position_lost() -> AbstractContextManager[None]:
    from harness.training.loop import Training

    original = Training.restore

    def from_the_start(self: Training, state: Mapping[str, Any]) -> None:
        first = dict(self.data.state())
        original(self, state)
        self.data.restore(first)

    return patched(Training, "restore", from_the_start)


def _generator_lost() -> AbstractContextManager[None]:
    from harness.training import state

    def nothing(saved: Mapping[str, Any], device: torch.device) -> None:
        """Dropout uses the current state of the generator."""

    return replaced(state._set_generators, nothing)


def _optimizer_lost() -> AbstractContextManager[None]:
    from torch.optim import Optimizer

    def nothing(self: Optimizer, state_dict: dict[str, Any]) -> None:
        """The moments start from zero."""

    return patched(Optimizer, "load_state_dict", nothing)


class ResumeParity(Invariant[TrainingSubject]):
    """On tiny models SIGKILL ends the process; on a study's arm an exception ends the training."""

    name: ClassVar[str] = "resume-parity"
    statement: ClassVar[str] = (
        "A training run that is killed during any update and resumed ends with the same parameters, to the "
        "last bit, as one that was not interrupted."
    )
    needs: ClassVar[type[Subject]] = TrainingSubject
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="data-position-lost",
            summary="the data starts from the beginning when training resumes",
            bug=_data_position_lost,
        ),
        PlantedBug(
            name="generator-lost",
            summary="the state of dropout's random numbers is not restored",
            bug=_generator_lost,
        ),
        PlantedBug(
            name="optimizer-lost",
            summary="the optimizer's moments are not restored",
            bug=_optimizer_lost,
        ),
    )

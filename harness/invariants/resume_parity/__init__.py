"""resume-parity: a training run that was killed and resumed ends as if nothing had interrupted it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from harness.training.loop import Training


@instead_of("harness.training.loop", "Training.restore")
def _data_position_lost(original: Callable[..., None], training: Training, state: Mapping[str, Any]) -> None:
    first = dict(training.data.state())
    original(training, state)
    training.data.restore(first)


@instead_of("harness.training.state", "_set_generators", everywhere=True)
def _generator_lost(*_: object) -> None:
    """Dropout uses the current state of the generator."""


@instead_of("torch.optim", "Optimizer.load_state_dict")
def _optimizer_lost(*_: object) -> None:
    """The moments start from zero."""


class ResumeParity(Invariant[TrainingSubject]):
    """On tiny models SIGKILL ends the process; on a study's arm an exception ends the training."""

    statement: ClassVar[str] = (
        "A training run that is killed during any update and resumed ends with the same parameters, to the "
        "last bit, as one that was not interrupted."
    )
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

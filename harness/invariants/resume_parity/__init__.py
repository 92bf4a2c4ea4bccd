"""resume-parity: a training that was killed and gone on with is the training that nothing interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, Mutant, patched, replaced
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
        """Dropout goes on from wherever the generator stands."""

    return replaced(state._set_generators, nothing)


def _optimizer_lost() -> AbstractContextManager[None]:
    from torch.optim import Optimizer

    def nothing(self: Optimizer, state_dict: dict[str, Any]) -> None:
        """Its moments begin anew."""

    return patched(Optimizer, "load_state_dict", nothing)


class ResumeParity(Invariant[TrainingSubject]):
    """On tiny models the process is killed by SIGKILL; on a study's arm the training is left where it stands."""

    name: ClassVar[str] = "resume-parity"
    statement: ClassVar[str] = (
        "A training that is killed in any update and gone on with ends with the parameters, to the last bit, "
        "of one that was not."
    )
    needs: ClassVar[type[Subject]] = TrainingSubject
    mutants: ClassVar[tuple[Mutant, ...]] = (
        Mutant(
            name="data-position-lost",
            summary="the data begins anew when training goes on",
            bug=_data_position_lost,
        ),
        Mutant(
            name="generator-lost",
            summary="the random numbers of dropout are not gone on with",
            bug=_generator_lost,
        ),
        Mutant(
            name="optimizer-lost",
            summary="the optimizer's moments are not loaded",
            bug=_optimizer_lost,
        ),
    )

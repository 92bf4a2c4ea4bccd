"""amp-skips: scaling the loss changes no update, except that an update with gradients that are not finite is
skipped completely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of, patched
from harness.invariants.schedule_per_update import moved_schedule
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from torch.amp import GradScaler
    from torch.optim import Optimizer

    from harness.training.update import Updater
SCALED, UNSCALED = "scaled", "unscaled"


@instead_of("torch.amp", "GradScaler.unscale_")
def _double_unscale(original: Callable[..., None], scaler: GradScaler, optimizer: Optimizer) -> None:
    original(scaler, optimizer)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad /= scaler.get_scale()


@contextmanager
def _clipped_before_unscaling() -> Iterator[None]:
    from torch.amp import GradScaler

    from harness.training.update import Updater

    step, unscale = Updater._step, GradScaler.unscale_

    def nothing(self: GradScaler, optimizer: Optimizer) -> None:
        """The step does it instead."""

    def late(self: Updater) -> bool:
        with patched(GradScaler, "unscale_", unscale):
            return step(self)

    with patched(GradScaler, "unscale_", nothing), patched(Updater, "_step", late):
        yield


def _moved_on_a_skip() -> AbstractContextManager[None]:
    return moved_schedule(lambda training, _: training.updater.attempted)


@instead_of("harness.training.update", "Updater._step")
def _skip_counted(original: Callable[..., bool], updater: Updater) -> bool:
    original(updater)
    return True


class AmpSkips(Invariant[TrainingSubject]):
    """The third of six updates has an infinite gradient.

    At level "unscaled" there is no scaler, and no update may be skipped.
    """

    statement: ClassVar[str] = (
        "With a scaled loss, clipping uses the unscaled norms, and an update with gradients that are not "
        "finite changes neither the weights nor the schedule nor the count of updates."
    )
    levels: ClassVar[tuple[str, ...]] = (SCALED, UNSCALED)
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="double-unscale",
            summary="gradients are divided by the scale twice (Lightning#15501)",
            levels=(SCALED,),
            bug=_double_unscale,
        ),
        PlantedBug(
            name="clipped-before-unscaling",
            summary="clipping uses gradients that are still scaled",
            levels=(SCALED,),
            bug=_clipped_before_unscaling,
        ),
        PlantedBug(
            name="moved-on-a-skip",
            summary="a skipped update advances the schedule",
            levels=(SCALED,),
            bug=_moved_on_a_skip,
        ),
        PlantedBug(
            name="skip-counted",
            summary="a skipped update is counted as applied",
            levels=(SCALED,),
            bug=_skip_counted,
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        return UNSCALED if subject.updater(subject.build(subject.config)).scaler is None else SCALED

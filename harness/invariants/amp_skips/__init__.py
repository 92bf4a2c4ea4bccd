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
        if self.scaler is not None:
            unscale(self.scaler, self.optimizer)
        return step(self)

    with patched(GradScaler, "unscale_", nothing), patched(Updater, "_step", late):
        yield


def _moved_on_a_skip() -> AbstractContextManager[None]:
    return moved_schedule(lambda training, _: training.updater.attempted)


@instead_of("harness.training.update", "Updater._step")
def _skip_counted(original: Callable[..., bool], updater: Updater) -> bool:
    original(updater)
    return True


@instead_of("harness.training.update", "Updater._step")
def _left_to_the_optimizer(original: Callable[..., bool], updater: Updater) -> bool:
    scaler = updater.scaler
    if scaler is None:
        return original(updater)
    applied = not any(scaler._found_inf_per_device(updater.optimizer).values())
    scaler.step(updater.optimizer)
    scaler.update()
    return applied


@instead_of("harness.training.update", "Updater._step")
def _step_of_zeros(original: Callable[..., bool], updater: Updater) -> bool:
    applied = original(updater)
    if not applied:
        for parameter in updater.objective.model.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
        updater.optimizer.step()
    return applied


@instead_of("harness.training.update", "Updater._step")
def _counted_at_no_scale(original: Callable[..., bool], updater: Updater) -> bool:
    if updater.scaler is None:
        return original(updater)
    before = updater.scaler.get_scale()
    original(updater)
    return updater.scaler.get_scale() >= before


class AmpSkips(Invariant[TrainingSubject]):
    """Every optimizer trains with infinite gradients before its first, its second and its last update, and in
    several updates in a row. The reference is the training in which these updates do not exist.

    At level "unscaled" there is no scaler, and no update may be skipped.
    """

    statement: ClassVar[str] = (
        "With a scaled loss, clipping uses the unscaled norms, and an update with gradients that are not "
        "finite changes neither the weights nor the optimizer nor the schedule nor the count of updates."
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
        PlantedBug(
            name="left-to-the-optimizer",
            summary="a skip before the first update leaves the momentum of SGD without a value "
            "(libreyolo#771)",
            levels=(SCALED,),
            bug=_left_to_the_optimizer,
        ),
        PlantedBug(
            name="step-of-zeros",
            summary="a skipped update is a step with gradients of zero, which decays weights and moments",
            levels=(SCALED,),
            bug=_step_of_zeros,
        ),
        PlantedBug(
            name="counted-at-no-scale",
            summary="a skip is recognised by a smaller scale, which a scale of 0 never gets (apex#834)",
            levels=(SCALED,),
            bug=_counted_at_no_scale,
        ),
    )

    def level_of(self, subject: TrainingSubject) -> str:
        return UNSCALED if subject.updater(subject.build(subject.config)).scaler is None else SCALED

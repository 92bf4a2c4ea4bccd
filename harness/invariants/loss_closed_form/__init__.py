"""loss-closed-form: cross-entropy, label smoothing and z-loss have their formulas' values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import Invariant, PlantedBug, instead_of
from harness.invariants.subjects import Subject
from harness.models.config import IGNORED_TARGET, LossConfig

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.chunked_loss import _Terms


PLAIN = LossConfig()


@instead_of("harness.models.loss", "cross_entropy", everywhere=True)
def _ignored_counted(
    original: Callable[..., Tensor], logits: Tensor, targets: Tensor, **settings: object
) -> Tensor:
    mean = original(logits, targets, **settings)
    return mean * ((targets != IGNORED_TARGET).sum() / targets.numel())


@instead_of("harness.models.loss", "cross_entropy", everywhere=True)
def _ignored_in_the_z_loss(
    original: Callable[..., Tensor],
    logits: Tensor,
    targets: Tensor,
    *,
    ignore_index: int = IGNORED_TARGET,
    settings: LossConfig = PLAIN,
) -> Tensor:
    plain = original(
        logits, targets, ignore_index=ignore_index, settings=settings.model_copy(update={"z_loss": 0.0})
    )
    z = logits.logsumexp(dim=-1).square().sum() / (targets != ignore_index).sum().clamp(min=1)
    return plain + settings.z_loss * z


@instead_of("harness.models.loss", "cross_entropy", everywhere=True)
def _smoothed_over_the_others(
    original: Callable[..., Tensor],
    logits: Tensor,
    targets: Tensor,
    *,
    ignore_index: int = IGNORED_TARGET,
    settings: LossConfig = PLAIN,
) -> Tensor:
    tokens = logits.shape[-1]
    share = min(settings.label_smoothing * tokens / (tokens - 1), 1.0)
    changed = settings.model_copy(update={"label_smoothing": share})
    return original(logits, targets, ignore_index=ignore_index, settings=changed)


@instead_of("harness.models.chunked_loss", "_loss_and_gradient", everywhere=True)
def _z_loss_without_gradient(
    original: Callable[..., tuple[Tensor, Tensor, Tensor | None]],
    logits: Tensor,
    targets: Tensor,
    terms: _Terms,
    *,
    gradient: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    right, log_z, _ = original(logits.clone(), targets, terms, gradient=False)
    *_, wrong = original(logits, targets, replace(terms, z_loss=0.0), gradient=gradient)
    return right, log_z, wrong


class LossClosedForm(Invariant[Subject]):
    """The loss and its gradients with respect to states, weights and logits, computed at once and in chunks,
    with some targets ignored.
    """

    statement: ClassVar[str] = (
        "Cross-entropy, label smoothing and z-loss have the value and the gradients of their closed form, "
        "also when some targets are ignored."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="ignored-counted",
            summary="the sum is divided by a number that includes ignored targets",
            bug=_ignored_counted,
        ),
        PlantedBug(
            name="ignored-in-the-z-loss",
            summary="positions with ignored targets still count in the z-loss",
            bug=_ignored_in_the_z_loss,
        ),
        PlantedBug(
            name="smoothed-over-the-others",
            summary="the smoothed probability goes to the other tokens only",
            bug=_smoothed_over_the_others,
        ),
        PlantedBug(
            name="z-loss-without-gradient",
            summary="the loss in chunks includes the z-loss, but its gradient does not",
            bug=_z_loss_without_gradient,
        ),
    )

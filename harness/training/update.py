"""One optimizer update: micro-batches forward and backward, unscale, clip, step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.models.layer import Losses
from harness.models.loss import Loss
from harness.training.objective import MicroBatch, Objective, counted
from harness.training.parallel.layout import Layout
from harness.training.precision import Precision


@dataclass(frozen=True, slots=True)
class Update:
    """The results of an update. The tensors are on the device, so reading them waits for it.

    `loss` and `log_z` are means over the counted targets. `norm` is the norm of the gradient before
    clipping. On request, `clipped_norm` is its norm as the optimizer sees it, after clipping, and `zeros`
    the share of exact zeros among the gradients of linear layers, if every rank has all of them. `auxiliary`
    are the auxiliary losses of the model's layers by name, before their weights.
    """

    loss: Tensor
    log_z: Tensor
    norm: Tensor
    clipped_norm: Tensor | None
    tokens: int
    applied: bool
    zeros: float | None
    auxiliary: Losses

    @property
    def measured(self) -> tuple[Tensor, ...]:
        """Loss, log Z, norm, clipped norm and auxiliary losses. Only if the clipped norm was requested."""
        assert self.clipped_norm is not None
        return self.loss, self.log_z, self.norm, self.clipped_norm, *self.auxiliary.values()


class Updater:
    """Updates a model. `attempted` counts all updates, `applied` only those that were not skipped because of
    their gradients. `layout` says how several ranks make an update together; by default there is one.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        *,
        precision: Precision,
        clip: float | None,
        layout: Layout | None = None,
    ) -> None:
        self.objective, self.optimizer = objective, optimizer
        self.precision, self.clip = precision, clip
        self.layout = layout or Layout()
        self.scaler = precision.scaler(str(objective.device))
        self.attempted = self.applied = 0
        self.parameters = self.layout.trained(objective.model, optimizer)
        self._peaks = [float(group["lr"]) for group in optimizer.param_groups]

    def set_rate(self, factor: float) -> float:
        """Set the learning rate of every group to `factor` times its peak; returns the rate of the first
        group.
        """
        for group, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        return self._peaks[0] * factor

    def __call__(
        self, micro_batches: Sequence[MicroBatch], *, count_zeros: bool = False, measure_clipped: bool = False
    ) -> Update:
        """One update from all of `micro_batches`, also if several ranks make it. Every target token has the
        same weight.
        """
        tokens = [counted(batch) for batch in micro_batches]
        loss = self.accumulate(micro_batches, tokens)
        zeros = self._zeros() if count_zeros and self.layout.complete else None
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = self.layout.norm(self.parameters)
        nn.utils.clip_grads_with_norm_(self.parameters, math.inf if self.clip is None else self.clip, norm)
        clipped_norm = self.layout.norm(self.parameters) if measure_clipped else None
        applied = self._step()
        self.optimizer.zero_grad(set_to_none=True)
        self.attempted += 1
        self.applied += applied
        return Update(
            loss=loss.mean,
            log_z=loss.log_z,
            norm=norm,
            clipped_norm=clipped_norm,
            tokens=sum(tokens),
            applied=applied,
            zeros=zeros,
            auxiliary=loss.auxiliary or {},
        )

    def accumulate(self, micro_batches: Sequence[MicroBatch], tokens: Sequence[int]) -> Loss:
        """Add the gradient of the mean over all counted targets (scaled if there is a scaler); returns the
        means.

        With several ranks, the micro-batches and the means are those of all ranks together.
        """
        shares, counts = self.layout.share(micro_batches, tokens)
        means = dict(self.layout.accumulate(self, shares, counts, max(1, sum(tokens))))
        return Loss(means.pop("loss"), means.pop("log Z"), auxiliary=means)

    def passes(
        self, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        """Forward and backward passes over micro-batches with these numbers of counted targets. Adds the
        gradient of their share of a mean over `total` targets, and returns this share of the means: "loss",
        "log Z", and the auxiliary losses by name.
        """
        device = str(self.objective.device)
        names: tuple[str, ...] = ()
        means: Tensor | None = None
        for batch, count in zip(micro_batches, tokens, strict=True):
            with self.precision.autocast(device):
                loss = self.objective.mean_loss(self.objective.tensors(batch))
                minimised, auxiliary = self.objective.minimised(loss), loss.auxiliary or {}
            values = torch.stack([value.detach() for value in (loss.mean, loss.log_z, *auxiliary.values())])
            if count != total:
                minimised, values = minimised * (count / total), values * (count / total)
            torch.autograd.backward(minimised if self.scaler is None else self.scaler.scale(minimised))
            names, means = ("loss", "log Z", *auxiliary), values if means is None else means + values
        assert means is not None
        return dict(zip(names, means, strict=True))

    def _step(self) -> bool:
        """Make the step. False if it is skipped, because the scaler found gradients that are not finite.

        The optimizer is not called then. `GradScaler.step` calls fused optimizers, which are to skip the step
        themselves, and torch's SGD keeps the momentum that it had not yet initialised.
        """
        if self.scaler is None:
            self.optimizer.step()
            return True
        marks = self.scaler._found_inf_per_device(self.optimizer)
        for mark in marks.values():
            self.layout.agree(mark)
        applied = not any(marks.values())
        if applied:
            self.optimizer.step()
        self.scaler.update()
        return applied

    def _zeros(self) -> float:
        """The share of exact zeros among the gradients of linear layers, which shows underflow in 16 bits.

        Embeddings are left out, because tokens that did not occur have no gradient.
        """
        model = self.objective.model
        weights = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Linear)}
        gradients = [weight.grad for weight in weights.values() if weight.grad is not None]
        values = sum(gradient.numel() for gradient in gradients)
        if not values:
            return math.nan
        return 1.0 - sum(int(gradient.count_nonzero()) for gradient in gradients) / values

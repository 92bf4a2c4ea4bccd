"""Cross-entropy of the next token, with label smoothing and z-loss.

Here all logits exist at once; `harness.models.chunked_loss` computes the same a chunk of positions at a time.
V tokens of the vocabulary, C = d_model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.chunked_loss import chunked_cross_entropy
from harness.models.config import IGNORED_TARGET, ChunkedLogits, LossConfig, WholeLogits
from harness.models.embedding import OutputProjection
from harness.models.layer import Losses

PLAIN = LossConfig()


class Loss(NamedTuple):
    """Means over counted targets, all scalars: the loss, and log Z, the logarithm of the softmax's
    denominator.

    `auxiliary` are the losses that layers of the model returned, by name. Log Z is not differentiable.
    """

    mean: Tensor
    log_z: Tensor
    auxiliary: Losses | None = None


def cross_entropy(
    logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORED_TARGET, settings: LossConfig = PLAIN
) -> Tensor:
    """Mean negative log-likelihood in nats over the targets that are not ignored; a scalar.

    Logits (..., V), targets (...). Summed in float32 at least, whatever the precision of the logits. If all
    targets are ignored, the loss and its gradients are 0.
    """
    wide = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    flat = targets.reshape(-1)
    rows = wide.reshape(flat.numel(), -1)
    total = F.cross_entropy(
        rows, flat, ignore_index=ignore_index, reduction="sum", label_smoothing=settings.label_smoothing
    )
    counted = flat != ignore_index
    if settings.z_loss:
        total = total + settings.z_loss * (rows.logsumexp(dim=-1).square() * counted).sum()
    return total / counted.sum().clamp(min=1)


def loss_of_hidden(
    hidden: Tensor, output: OutputProjection, targets: Tensor, settings: LossConfig = PLAIN
) -> Tensor:
    """The loss from the states (..., C) before the output projection: `loss_of_hidden(m.hidden(x), m.output,
    y)`.
    """
    return loss_and_log_z(hidden, output, targets, settings).mean


def loss_and_log_z(
    hidden: Tensor, output: OutputProjection, targets: Tensor, settings: LossConfig = PLAIN
) -> Loss:
    """The loss and log Z from states (..., C) and targets (...), in float32 at least; 0 if all targets are
    ignored.
    """
    match settings.logits:
        case WholeLogits():
            logits = output.logits(hidden)
            mean = cross_entropy(logits, targets, settings=settings)
            return Loss(mean, _mean_log_z(logits.detach(), targets, mean.detach(), settings))
        case ChunkedLogits(positions=positions):
            mean, log_z = chunked_cross_entropy(
                hidden, output, targets, settings=settings, positions=positions, ignore_index=IGNORED_TARGET
            )
            return Loss(mean, log_z)


def _mean_log_z(logits: Tensor, targets: Tensor, loss: Tensor, settings: LossConfig) -> Tensor:
    """The mean log Z of logits (..., V) whose mean loss is known: without smoothing and z-loss, log Z is the
    loss plus the target's logit.
    """
    flat = targets.reshape(-1)
    rows, counted = logits.reshape(flat.numel(), -1), flat != IGNORED_TARGET
    count = counted.sum().clamp(min=1)
    if settings.label_smoothing or settings.z_loss:
        return torch.where(counted, rows.to(loss.dtype).logsumexp(dim=-1), 0).sum() / count
    picked = rows.gather(1, torch.where(counted, flat, 0)[:, None])[:, 0].to(loss.dtype)
    return loss + torch.where(counted, picked, 0).sum() / count

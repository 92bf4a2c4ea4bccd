"""Cross-entropy of the next token, with label smoothing and z-loss, over logits that exist.

`harness.models.chunked_loss` has the same over logits that never all do.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.chunked_loss import chunked_cross_entropy
from harness.models.config import ChunkedLogits, LossConfig, WholeLogits
from harness.models.embedding import OutputProjection

IGNORED = -100
PLAIN = LossConfig()


class Loss(NamedTuple):
    """A mean over counted targets, and log Z, the logarithm of the softmax's denominator, over the same; both
    are scalars.

    Only the loss is differentiable.
    """

    mean: Tensor
    log_z: Tensor


def cross_entropy(
    logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORED, settings: LossConfig = PLAIN
) -> Tensor:
    """Mean negative log-likelihood in nats over the targets that are not ignored; a scalar.

    Logits (..., V), targets (...). Summed in float32 at least, whatever the precision of the logits. With
    nothing but ignored targets it is 0, and so are its gradients.
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
    """The same from the states (..., C) before the output projection: `loss_of_hidden(m.hidden(x), m.output,
    y)`.
    """
    return loss_and_log_z(hidden, output, targets, settings).mean


def loss_and_log_z(
    hidden: Tensor, output: OutputProjection, targets: Tensor, settings: LossConfig = PLAIN
) -> Loss:
    """Both from the states (..., C) and targets (...), in float32 at least; 0 where nothing but ignored
    targets is.
    """
    match settings.logits:
        case WholeLogits():
            logits = output.logits(hidden)
            mean = cross_entropy(logits, targets, settings=settings)
            return Loss(mean, _mean_log_z(logits.detach(), targets, mean.detach(), settings))
        case ChunkedLogits(positions=positions):
            found = chunked_cross_entropy(
                hidden, output, targets, settings=settings, positions=positions, ignore_index=IGNORED
            )
            return Loss(*found)


def _mean_log_z(logits: Tensor, targets: Tensor, loss: Tensor, settings: LossConfig) -> Tensor:
    """Of logits (..., V) whose mean loss is known: where it is plain, log Z is the loss and the target's
    logit.
    """
    flat = targets.reshape(-1)
    rows, counted = logits.reshape(flat.numel(), -1), flat != IGNORED
    count = counted.sum().clamp(min=1)
    if settings.label_smoothing or settings.z_loss:
        return torch.where(counted, rows.to(loss.dtype).logsumexp(dim=-1), 0).sum() / count
    picked = rows.gather(1, torch.where(counted, flat, 0)[:, None])[:, 0].to(loss.dtype)
    return loss + torch.where(counted, picked, 0).sum() / count

"""Cross-entropy fused with the output projection, a chunk of positions at a time.

The logits of a chunk give its loss and at once its share of the gradients, and are then freed. n positions of
a chunk, C = d_model, V tokens of the vocabulary. (The idea is from Wijmans et al. 2024, §4; gradients in the
forward pass as in Hsu et al. 2024, §3.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.models.config import LossConfig
from harness.models.embedding import OutputProjection


@dataclass(frozen=True, kw_only=True, slots=True)
class _Terms:
    """The terms of the loss of one position. `count` is the number of counted positions."""

    smoothing: float
    z_loss: float
    soft_cap: float | None
    ignore_index: int
    count: Tensor
    positions: int
    gradients: bool


def chunked_cross_entropy(
    hidden: Tensor,
    output: OutputProjection,
    targets: Tensor,
    *,
    settings: LossConfig,
    positions: int,
    ignore_index: int,
) -> tuple[Tensor, Tensor]:
    """The mean of `harness.models.loss.cross_entropy` and the mean log Z, from states (..., C) and targets
    (...).

    The loss is differentiable once. Log Z, the logarithm of the softmax's denominator, is not differentiable.
    Summed in float32 at least. At most `positions` rows of logits exist at a time.
    """
    flat = targets.reshape(-1)
    rows = hidden.reshape(flat.numel(), -1)
    if output.scale != 1.0:
        rows = rows * output.scale
    if torch.is_autocast_enabled(rows.device.type):  # as autocast itself would
        rows = rows.to(torch.get_autocast_dtype(rows.device.type))
    terms = _Terms(
        smoothing=settings.label_smoothing,
        z_loss=settings.z_loss,
        soft_cap=output.soft_cap,
        ignore_index=ignore_index,
        count=(flat != ignore_index).sum().clamp(min=1),
        positions=positions,
        gradients=torch.is_grad_enabled(),  # never enabled inside the function
    )
    with torch.autocast(rows.device.type, enabled=False):
        apply: Any = _ChunkedCrossEntropy.apply
        loss, log_z = apply(rows, output.weight, output.bias, flat, terms)
    return loss, log_z.detach()


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, terms: _Terms
    ) -> tuple[Tensor, Tensor]:
        wanted = terms.gradients and any(ctx.needs_input_grad)
        by_hidden = torch.empty_like(hidden) if wanted and ctx.needs_input_grad[0] else None
        by_weight = torch.zeros_like(weight) if wanted and ctx.needs_input_grad[1] else None
        by_bias = torch.zeros_like(bias) if wanted and bias is not None and ctx.needs_input_grad[2] else None
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total, total_z = torch.zeros(2, dtype=wide, device=hidden.device).unbind()
        used = weight.to(hidden.dtype)
        added = None if bias is None else bias.to(hidden.dtype)
        for start in range(0, len(hidden), terms.positions):
            chunk = slice(start, start + terms.positions)
            logits = F.linear(hidden[chunk], used, added).to(wide)  # (n, V)
            loss, log_z, by_logits = _loss_and_gradient(logits, targets[chunk], terms, gradient=wanted)
            total, total_z = total + loss, total_z + log_z
            if by_logits is None:
                continue
            by_logits = by_logits.to(hidden.dtype)
            if by_hidden is not None:
                torch.mm(by_logits, used, out=by_hidden[chunk])
            if by_weight is not None:
                _add_product(by_weight, by_logits, hidden[chunk])
            if by_bias is not None:
                by_bias += by_logits.sum(dim=0)
        ctx.save_for_backward(by_hidden, by_weight, by_bias)
        return total / terms.count, total_z / terms.count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradients = (None if part is None else part * grad.to(part.dtype) for part in ctx.saved_tensors)
        return (*gradients, None, None)


def _loss_and_gradient(
    logits: Tensor, targets: Tensor, terms: _Terms, *, gradient: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Summed loss and log Z of logits (n, V), which are overwritten, and the gradient (n, V) of the mean
    loss.
    """
    counted = targets != terms.ignore_index  # (n,)
    chosen = torch.where(counted, targets, 0)[:, None]  # (n, 1)
    squeezed = None
    if terms.soft_cap is not None:
        squeezed = torch.tanh(logits / terms.soft_cap)
        logits = squeezed * terms.soft_cap
    picked = logits.gather(1, chosen)[:, 0]
    mean = logits.mean(dim=-1) if terms.smoothing else None
    highest = logits.amax(dim=-1, keepdim=True)  # (n, 1)
    exponentials = logits.sub_(highest).exp_()  # once, for the loss and for its gradient
    denominator = exponentials.sum(dim=-1)  # (n,)
    log_z = highest[:, 0] + denominator.log()
    loss = log_z - (1 - terms.smoothing) * picked
    if mean is not None:
        loss = loss - terms.smoothing * mean
    if terms.z_loss:
        loss = loss + terms.z_loss * log_z.square()
    total, total_z = (loss * counted).sum(), (log_z * counted).sum()
    if not gradient:
        return total, total_z, None
    weight = counted.to(logits.dtype) / terms.count  # (n,)
    by_logits = exponentials.mul_((weight * (1 + 2 * terms.z_loss * log_z) / denominator)[:, None])
    if terms.smoothing:
        by_logits -= (weight * (terms.smoothing / logits.shape[1]))[:, None]
    by_logits.scatter_add_(1, chosen, ((terms.smoothing - 1) * weight)[:, None].to(by_logits.dtype))
    if squeezed is not None:
        by_logits *= 1 - squeezed.square()
    return total, total_z, by_logits


def _add_product(total: Tensor, by_logits: Tensor, hidden: Tensor) -> None:
    """total (V, C) += by_logitsᵀ · hidden, without a second (V, C) if the precisions agree."""
    if total.dtype == hidden.dtype:
        total.addmm_(by_logits.T, hidden)
    else:
        total += by_logits.T @ hidden

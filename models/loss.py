"""Cross-entropy of the next token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100


def cross_entropy(logits: Tensor, targets: Tensor, *, ignore_index: int = IGNORED) -> Tensor:
    """Mean negative log-likelihood in nats over the targets that are not ignored; a scalar.

    Logits (..., V), targets (...). Summed in float32 at least, whatever the precision of the logits. With
    nothing but ignored targets it is 0, and so are its gradients.
    """
    wide = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    flat = targets.reshape(-1)
    total = F.cross_entropy(wide.reshape(flat.numel(), -1), flat, ignore_index=ignore_index, reduction="sum")
    return total / (flat != ignore_index).sum().clamp(min=1)

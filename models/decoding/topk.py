"""The few largest of many values, as every decoding step needs them of its logits.

R rows, V values per row.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64
# So few values are searched faster directly than in blocks.
SMALL = 16384


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Like `values.topk(count)` over the last dimension: (R, V) to values and indices, each (R, count),
    largest first.

    Compares the maxima of blocks first: the largest values are in the `count` blocks with the largest maxima,
    so all other blocks are read only once, as fast as memory allows. The order of equal values is not
    defined.
    """
    rows, width = values.shape
    if count == 1:
        return _highest(values)
    blocks = width // BLOCK
    if blocks <= 2 * count or values.numel() <= SMALL:
        top = values.topk(count)
        return top.values, top.indices
    split = values[:, : blocks * BLOCK].view(rows, blocks, BLOCK)
    best = split.amax(dim=-1).topk(count).indices[..., None]  # (R, count, 1)
    inside = torch.arange(BLOCK, device=values.device)
    candidates = split.gather(1, best.expand(-1, -1, BLOCK)).view(rows, -1)
    indices = (best * BLOCK + inside).view(rows, -1)
    if blocks * BLOCK < width:  # the columns after the last complete block
        rest = torch.arange(blocks * BLOCK, width, device=values.device)
        candidates = torch.cat((candidates, values[:, blocks * BLOCK :]), dim=1)
        indices = torch.cat((indices, rest.expand(rows, -1)), dim=1)
    chosen = candidates.topk(count)
    return chosen.values, indices.gather(1, chosen.indices)


def _highest(values: Tensor) -> tuple[Tensor, Tensor]:
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        return values.max(dim=-1, keepdim=True)
    # numpy searches with vector instructions; torch without them takes two to five times as long.
    indices = torch.from_numpy(values.detach().numpy().argmax(axis=-1, keepdims=True))
    return values.gather(1, indices), indices
